/** Files that people give in a model's place: told by what they begin with, and what to do with each. */

/** What a file is, where it is nothing that tr0n reads as a model. */
export interface FileKind {
  /** What it is, with its article. */
  readonly is: string;
  /** How to come to a model from there, in sentences. */
  readonly then: string;
}

const torchExport =
  'torch.onnx.export(module.eval(), example, "model.onnx", input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})';
/** How to come from weights to a model. */
const fromWeights =
  `It holds weights and no code. Make the module in Python, load them into it (module.load_state_dict), and export it: ${torchExport}; ` +
  'or torch.jit.trace(module.eval(), example).save("model.pt")';
const tf2onnx = (from: string): string => `python -m tf2onnx.convert ${from} --output model.onnx --opset 17`;
const original = "Export the model that it was made from to ONNX";
const download = "Download it again, from the address of the file itself";
const unpack = (tool: string): string => `Unpack it first (${tool}), and give the model that is inside`;

export const kinds = {
  pickle: {
    is: "a Python pickle (an old torch.save(), scikit-learn, joblib), which has no code that could run here",
    then: `A PyTorch module: ${torchExport}, or torch.jit.trace(module.eval(), example).save("model.pt"). scikit-learn: skl2onnx.to_onnx(model, X[:1])`,
  },
  torchWeights: { is: "an archive of torch.save(), such as a state dictionary", then: fromWeights },
  safetensors: {
    is: "a .safetensors file",
    then: `${fromWeights}. A HuggingFace model: optimum-cli export onnx --model FOLDER OUT`,
  },
  torchProgram: {
    is: "a program of torch.export",
    then: `In Python: module = torch.export.load(path).module(), then ${torchExport.replace("module.eval()", "module")}`,
  },
  keras: {
    is: "a Keras model (.keras)",
    then: `${tf2onnx("--keras model.keras")}; or model.export("model.onnx", format="onnx") of Keras 3`,
  },
  hdf5: {
    is: "an HDF5 file, as Keras writes (.h5)",
    then: `A whole Keras model: ${tf2onnx("--keras model.h5")}. Weights alone: load them into the model first`,
  },
  kerasJson: {
    is: "a Keras architecture as JSON, without weights",
    then: "Make the model of it in Python, load its weights, and " + tf2onnx("--keras model.keras"),
  },
  savedModel: {
    is: "a TensorFlow SavedModel",
    then: `Convert the folder that saved_model.pb lies in: ${tf2onnx("--saved-model FOLDER")}`,
  },
  graphDef: {
    is: "a frozen TensorFlow graph",
    then: tf2onnx("--graphdef model.pb --inputs INPUT:0 --outputs OUTPUT:0"),
  },
  tflite: { is: "a TensorFlow Lite model", then: tf2onnx("--tflite model.tflite") },
  tfjs: { is: "a TensorFlow.js model", then: tf2onnx("--tfjs model.json") },
  ort: {
    is: "a model in ONNX Runtime's own format (.ort)",
    then: "Give the .onnx file that it was made from",
  },
  openvino: { is: "an OpenVINO model", then: original },
  coreml: { is: "a Core ML model", then: original },
  tensorrt: { is: "a TensorRT engine", then: original },
  executorch: { is: "an ExecuTorch program", then: original },
  gguf: { is: "a GGUF or GGML file", then: original },
  caffe: { is: "a Caffe network as text", then: original },
  ncnn: { is: "an ncnn network", then: original },
  xgboost: {
    is: "an XGBoost or LightGBM model",
    then: "In Python: onnxmltools.convert_xgboost or convert_lightgbm",
  },
  pmml: { is: "a PMML model", then: original },
  matlab: { is: "a MATLAB file", then: 'In MATLAB: exportONNXNetwork(net, "model.onnx")' },
  torchserve: { is: "an archive of TorchServe (.mar)", then: unpack("unzip") },
  lfs: {
    is: "a Git LFS pointer, not the file that it stands for",
    then: "Fetch the file: git lfs install && git lfs pull (on HuggingFace, download from /resolve/ and not from /raw/)",
  },
  html: {
    is: "an HTML page, as failed downloads leave behind",
    then: `${download}, and look at the page: it may ask to log in or to confirm`,
  },
  downloadError: { is: "the message of a failed download", then: download },
  gzip: { is: "a gzip archive", then: unpack("gunzip, or tar -xzf") },
  bzip2: { is: "a bzip2 archive", then: unpack("bunzip2, or tar -xjf") },
  xz: { is: "an xz archive", then: unpack("unxz, or tar -xJf") },
  zstd: { is: "a Zstandard archive", then: unpack("unzstd") },
  sevenZip: { is: "a 7-Zip archive", then: unpack("7z x") },
  rar: { is: "a RAR archive", then: unpack("unrar x") },
  tar: { is: "a tar archive", then: unpack("tar -xf") },
  zip: { is: "a zip archive that is no TorchScript", then: unpack("unzip") },
  npz: { is: "arrays of NumPy (.npz)", then: fromWeights },
  npy: { is: "an array of NumPy (.npy)", then: "Give a model; arrays go where tensors are asked for" },
  huggingface: {
    is: "the configuration of a HuggingFace model",
    then: "Export the model that it belongs to: optimum-cli export onnx --model FOLDER OUT",
  },
  tokenizer: { is: "a tokenizer", then: "Give it as --tokenizer, or to loadTokenizer(), and here a model" },
  configuration: { is: "a configuration of tr0n", then: "Give it as --config, and here a model" },
  translator: {
    is: "a translator of tr0n",
    then: "Give it as --translator, or to Tr0n.load(), and here a model",
  },
  onnx: { is: "an ONNX model, as it seems", then: "Give it as --generator or --encoder" },
  torchscript: { is: "a zip archive, such as TorchScript", then: "Give it as --generator or --encoder" },
  json: { is: "JSON", then: "Give a model: an .onnx file, or TorchScript" },
  xml: { is: "XML", then: "Give a model: an .onnx file, or TorchScript" },
  image: { is: "a picture", then: "Pictures are conditions (--image); give a model here" },
  media: { is: "a sound or a film", then: "Give a model: an .onnx file, or TorchScript" },
  pdf: { is: "a PDF document", then: "Give a model: an .onnx file, or TorchScript" },
  database: { is: "a table or a database", then: "Give a model: an .onnx file, or TorchScript" },
  python: {
    is: "a file of Python source",
    then: `Run it, and export the module that it makes: ${torchExport}`,
  },
  program: { is: "a program or a library", then: "Give a model: an .onnx file, or TorchScript" },
  text: { is: "a text", then: "Give a model: an .onnx file, or TorchScript" },
  zeros: { is: "zeros from its beginning, as downloads that were broken off leave behind", then: download },
} as const satisfies Record<string, FileKind>;

/** Bytes that {@link kindOf} wants to see, where there are so many. */
export const headBytes = 1024;

/** Beginnings, as latin1, that no other file has. At 0 where no place is said. */
const marks: readonly (readonly [mark: string, kind: FileKind, at?: number])[] = [
  ["version https://git-lfs", kinds.lfs],
  ["\x1f\x8b", kinds.gzip],
  ["BZh", kinds.bzip2],
  ["\xfd7zXZ\0", kinds.xz],
  ["\x28\xb5\x2f\xfd", kinds.zstd],
  ["7z\xbc\xaf\x27\x1c", kinds.sevenZip],
  ["Rar!\x1a\x07", kinds.rar],
  ["\x89HDF\r\n\x1a\n", kinds.hdf5],
  ["MATLAB ", kinds.matlab],
  ["\x93NUMPY", kinds.npy],
  ["GGUF", kinds.gguf],
  ["lmgg", kinds.gguf],
  ["tjgg", kinds.gguf],
  ["TFL3", kinds.tflite, 4],
  ["ORTM", kinds.ort, 4],
  ["ET1", kinds.executorch, 4],
  ["ptrt", kinds.tensorrt],
  ["ftrt", kinds.tensorrt],
  ["ustar", kinds.tar, 257],
  ["\x89PNG\r\n\x1a\n", kinds.image],
  ["\xff\xd8\xff", kinds.image],
  ["GIF8", kinds.image],
  ["II*\0", kinds.image],
  ["MM\0*", kinds.image],
  ["WEBP", kinds.image, 8],
  ["ftypavif", kinds.image, 4],
  ["ftyp", kinds.media, 4],
  ["WAVE", kinds.media, 8],
  ["OggS", kinds.media],
  ["fLaC", kinds.media],
  ["ID3", kinds.media],
  ["%PDF", kinds.pdf],
  ["SQLite format 3\0", kinds.database],
  ["PAR1", kinds.database],
  ["ARROW1", kinds.database],
  ["\x7fELF", kinds.program],
  ["MZ", kinds.program],
  ["#!", kinds.program],
  ["7767517", kinds.ncnn],
  ["tree\nversion=", kinds.xgboost],
];

/** What a file of `size` bytes begins like; null for what may be a model, or nobody knows. */
export function kindOf(head: Uint8Array, size: number): FileKind | null {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, headBytes)).toString("latin1");
  // Behind its first two fields a model of ONNX has names, which may be any.
  const model = looksLikeOnnx(head);
  for (const [mark, kind, at = 0] of marks) if (text.startsWith(mark, at) && !(at > 0 && model)) return kind;
  // The first bytes of protocols 2 … 5, and of what zlib packed of it; no field of an ONNX model has such a number.
  const [first = 0, second = 0] = head;
  const packed = first === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(second);
  if ((first === 0x80 && second >= 2 && second <= 5) || packed) return kinds.pickle;
  if (isSafetensors(head, size))
    return text.includes('"format":"tr0n-translator"') ? kinds.translator : kinds.safetensors;
  if (text.length >= 16 && /^\0+$/.test(text)) return kinds.zeros;
  return kindOfText(text);
}

/** The same, and models: in places where none is wanted. */
export function kindOfAny(bytes: Uint8Array): FileKind | null {
  const found = kindOf(bytes.subarray(0, headBytes), bytes.length);
  if (found || looksLikeOnnx(bytes)) return found ?? kinds.onnx;
  return bytes[0] === 0x50 && bytes[1] === 0x4b ? kinds.torchscript : null;
}

/** The number of a version, and a field that models have. */
function looksLikeOnnx(head: Uint8Array): boolean {
  const [first, version = 0, next = 0] = head;
  return (
    first === 0x08 && version > 0 && version < 32 && [0x12, 0x1a, 0x22, 0x28, 0x3a, 0x42, 0x72].includes(next)
  );
}

/** The header's length, and a JSON object of it. */
function isSafetensors(head: Uint8Array, size: number): boolean {
  if (head.length < 16) return false;
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return (
    length >= 2n && length <= BigInt(size - 8) && head[8] === 0x7b && [0x22, 0x7d, 0x20].includes(head[9]!)
  );
}

const isText = /^(?:\xef\xbb\xbf)?[\t\n\r\x20-\x7e\x80-\xff]+$/;

function kindOfText(latin: string): FileKind | null {
  // Bytes beyond ASCII are letters of UTF-8 in texts, and anything in other files.
  if (latin.length < 2 || !isText.test(latin)) return null;
  const text = latin.replace(/^\xef\xbb\xbf/, "").trimStart();
  const plain = /^[\t\n\r\x20-\x7e]+$/.test(text);
  if (/^(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html|head|body)\b/i.test(text)) return kinds.html;
  if (/^(?:<\?xml[^>]*>\s*)?<(?:Error|ListBucketResult)\b/.test(text)) return kinds.downloadError;
  if (/^(?:<\?xml[^>]*>\s*)?<net\b/.test(text)) return kinds.openvino;
  if (/^(?:<\?xml[^>]*>\s*)?<PMML\b/.test(text)) return kinds.pmml;
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<svg\b/.test(text)) return kinds.image;
  if (/^<\?xml\b/.test(text)) return kinds.xml;
  if (/^[{[]\s*(?:["{}[\]]|-?\d|null|true|false)/.test(text)) return kindOfJson(text);
  if (/^(?:#[^\n]*\n\s*)*(?:import|from|def|class)\s+\w/.test(text)) return kinds.python;
  if (/^(?:#[^\n]*\n\s*)*(?:name:\s*"|layer\s*\{|input:\s*")/.test(text)) return kinds.caffe;
  if (/^(?:access denied|not found|forbidden|unauthorized|entry not found|invalid|404|403|401)\b/i.test(text))
    return kinds.downloadError;
  return plain && text.length >= 8 ? kinds.text : null;
}

function kindOfJson(text: string): FileKind {
  const has = (...keys: string[]): boolean => keys.some((key) => text.includes(`"${key}"`));
  if (has("modelTopology", "weightsManifest") || /"format":\s*"(?:graph|layers)-model"/.test(text))
    return kinds.tfjs;
  if (/"class_name":\s*"(?:Sequential|Functional|Model)"/.test(text)) return kinds.kerasJson;
  if (has("learner", "tree_info")) return kinds.xgboost;
  if (has("added_tokens", "vocabulary") || (has("truncation") && has("padding"))) return kinds.tokenizer;
  if (has("architectures", "model_type", "transformers_version", "_class_name")) return kinds.huggingface;
  if (has("generator") && has("encoder", "latent", "train")) return kinds.configuration;
  if (/^\{\s*"(?:error|errors|message|detail)"/.test(text)) return kinds.downloadError;
  return kinds.json;
}
