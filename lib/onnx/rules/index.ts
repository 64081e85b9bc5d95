/** All rules. A new operator is a `define` in the file of its family, or a new file imported here. */
import "./attention.js";
import "./binary.js";
import "./constant.js";
import "./control.js";
import "./conv.js";
import "./crop.js";
import "./determinant.js";
import "./einsum.js";
import "./fourier.js";
import "./grid-sample.js";
import "./loss.js";
import "./matmul.js";
import "./movement.js";
import "./normalize.js";
import "./patches.js";
import "./pool.js";
import "./quantize.js";
import "./recurrent.js";
import "./reduce.js";
import "./resize.js";
import "./scan.js";
import "./scatter.js";
import "./unary.js";

export { constantOperators, hasRule, ruleOf, rules, type Rule, type RuleContext } from "./rule.js";
