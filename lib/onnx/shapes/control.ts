/** Shape rules of control flow. */
import { graph as graphAttribute } from "../attributes.js";
import { define } from "./table.js";

// What both branches say.
define("If", (c) => {
  const [yes, no] = ["then_branch", "else_branch"].map((key) => {
    const body = graphAttribute(c.node, key);
    return body ? c.body(body) : [];
  });
  c.node.outputs.forEach((_, i) => {
    const [p, q] = [yes![i], no![i]];
    const together = p?.dims && q?.dims && p.dims.length === q.dims.length;
    c.set(
      i,
      p?.elemType || (q?.elemType ?? 0),
      together ? p.dims!.map((dim, axis) => (dim === q.dims![axis] ? dim : null)) : null,
    );
  });
});
