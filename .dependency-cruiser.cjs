/** The house of lib/: which room may know which. Arrows point down this list, and nothing runs in a circle. */
const rooms = [
  "base",
  "options",
  "native",
  "image",
  "onnx",
  "model",
  "latent",
  "objective",
  "condition",
  "translator",
  "sampling",
  "training",
  "tr0n",
  "evaluate",
  "config",
  "bench",
  "cli",
];

module.exports = {
  forbidden: [
    { name: "no-circle", severity: "error", from: { path: "^lib" }, to: { circular: true } },
    {
      name: "onnx-knows-only-base",
      comment: "Graphs are data: bytes in, bytes out.",
      severity: "error",
      from: { path: "^lib/onnx/" },
      to: { path: "^lib/", pathNot: "^lib/(onnx|base)/" },
    },
    ...rooms.map((room, i) => ({
      name: `${room}-looks-down`,
      severity: "error",
      from: { path: `^lib/${room}/` },
      to: { path: `^lib/(${[...rooms.slice(i + 1), "index\\.ts$"].join("|")})` },
    })),
    {
      name: "a-room-for-every-file",
      comment: "lib/ itself holds the public surface, and folders.",
      severity: "error",
      from: { path: "^lib/", pathNot: [`^lib/(${rooms.join("|")})/`, "^lib/index\\.ts$"] },
      to: {},
    },
    {
      name: "nothing-from-tests",
      severity: "error",
      from: { path: "^lib" },
      to: { path: "^(test|bench|examples|scripts)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: [".ts", ".js"] },
  },
};
