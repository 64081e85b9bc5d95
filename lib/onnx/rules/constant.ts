/** Operators that no adjoint passes: integers, shapes, comparisons, rounding, random numbers. */
import { defineConstant } from "./rule.js";

defineConstant("Shape Size ConstantOfShape NonZero ArgMax ArgMin EyeLike NonMaxSuppression Hardmax");
defineConstant("Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not IsNaN IsInf");
defineConstant("Floor Ceil Round Sign BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot");
defineConstant(
  "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial Constant " +
    "HannWindow HammingWindow BlackmanWindow MelWeightMatrix",
);
