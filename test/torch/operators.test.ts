/** The list of operators that TorchScript from anywhere may use: wide enough for what networks are made of, and no wider. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";

const lines = readFileSync(join(packageRoot, "native", "torch", "operators.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));
const list = new Set(lines);

/** Of scripts/fixtures/torch/operators_in_use.py. */
const used = JSON.parse(
  readFileSync(join(packageRoot, "test", "fixtures", "torch", "operators-in-use.json"), "utf8"),
) as Record<string, { as: string[]; operators: string[] }>;

describe("torchscript: the list of operators", () => {
  it("has what networks use, as scripts and as traces", () => {
    const networks = Object.keys(used);
    assert.ok(networks.length >= 100, `${networks.length} networks`);
    for (const [name, { operators }] of Object.entries(used))
      assert.deepEqual(
        operators.filter((operator) => !list.has(operator)),
        [],
        name,
      );
  });

  it("has nothing that reaches out of a model, or does not check what it is given", () => {
    for (const operator of [
      ...[
        "aten::from_file",
        "aten::save",
        "aten::manual_seed",
        "aten::set_data",
        "aten::set_",
        "aten::resize_",
      ],
      ...["aten::backward", "aten::hash", "aten::record_stream", "aten::get_gradients", "aten::to_here"],
      ...["aten::_index_put_impl_", "aten::_unsafe_view", "aten::_reshape_alias", "aten::ctc_loss"],
      ...["aten::segment_reduce", "aten::searchsorted", "aten::_embedding_bag", "aten::embedding_renorm_"],
      ...["aten::_pad_packed_sequence", "aten::_sparse_coo_tensor_unsafe", "aten::sparse_csr_tensor"],
      ...["aten::fbgemm_linear_int8_weight", "aten::quantized_lstm_cell", "quantized::linear_prepack_legacy"],
      ...["quantized::embedding_bag_byte", "quantized::embedding_byte", "aten::mkldnn_max_pool2d"],
      ...["prim::PythonOp", "prim::IgnoredPythonOp", "prim::rpc_sync", "prim::rpc_async", "prim::rpc_remote"],
      ...["prim::AddStatValue", "prim::BailOut", "prim::FusionGroup", "prim::TimePoint"],
      ...["profiler::_record_function_enter", "c10d::broadcast_", "class profiling._ScriptProfile"],
    ])
      assert.ok(!list.has(operator), operator);
    const spaces = new Set([...list].map((line) => line.split("::")[0]));
    for (const space of spaces)
      assert.match(space!, /^(-?aten|prim|-?quantized|tr0n|class (quantized|rnn)\.\w+)$/);
  });

  it("is sorted, and has nothing twice", () => {
    assert.equal(list.size, lines.length);
    const operators = lines.filter((line) => line.includes("::") && !line.startsWith("-"));
    assert.deepEqual(operators, [...operators].sort());
  });
});
