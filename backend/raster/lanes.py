# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight float32 lanes as one value inside numba kernels.

A kernel written with these reads like scalar code and compiles to one vector instruction per line, on any
processor that LLVM knows. `+ - *`, unary minus and the comparisons `< > >=` work between lanes and with a
float32 (a comparison gives a mask). Nothing here can be called outside a kernel.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDTH = 8


class _Float8(types.Type):
    def __init__(self):
        super().__init__("float32x8")


class _Mask8(types.Type):
    def __init__(self):
        super().__init__("boolx8")


float8, mask8 = _Float8(), _Mask8()
_F, _I = ir.FloatType(), ir.IntType(32)
_VF, _VI, _VB = ir.VectorType(_F, WIDTH), ir.VectorType(_I, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)
_I64 = ir.IntType(64)


@register_model(_Float8)
class _Float8Model(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _VF)


@register_model(_Mask8)
class _Mask8Model(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _VB)


def _spread(builder, scalar):
    undefined = ir.Constant(_VF, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_VI, [0] * WIDTH))


def _constant(value):
    return ir.Constant(_VF, [ir.Constant(_F, value)] * WIDTH)


def _integers(value):
    return ir.Constant(_VI, [ir.Constant(_I, value)] * WIDTH)


def _call(builder, name, result, *arguments):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in arguments]), name
    )
    return builder.call(function, arguments)


def _as_lanes(builder, value, numba_type):
    return value if numba_type == float8 else _spread(builder, value)


_PAIRS = [(float8, float8), (float8, types.float32), (types.float32, float8)]


def _define_operator(symbol, emit, result):
    class Template(ConcreteTemplate):
        cases = [signature(result, *pair) for pair in _PAIRS]

    infer_global(symbol)(Template)
    for pair in _PAIRS:

        @lower_builtin(symbol, *pair)
        def lower(context, builder, sig, args, emit=emit):
            a, b = (_as_lanes(builder, v, t) for v, t in zip(args, sig.args, strict=True))
            return emit(builder, a, b)


_define_operator(operator.add, lambda b, x, y: b.fadd(x, y), float8)
_define_operator(operator.sub, lambda b, x, y: b.fsub(x, y), float8)
_define_operator(operator.mul, lambda b, x, y: b.fmul(x, y), float8)
_define_operator(operator.truediv, lambda b, x, y: b.fdiv(x, y), float8)
_define_operator(operator.lt, lambda b, x, y: b.fcmp_ordered("<", x, y), mask8)
_define_operator(operator.gt, lambda b, x, y: b.fcmp_ordered(">", x, y), mask8)
_define_operator(operator.ge, lambda b, x, y: b.fcmp_ordered(">=", x, y), mask8)


@infer_global(operator.neg)
class _Negate(ConcreteTemplate):
    cases = [signature(float8, float8)]


@lower_builtin(operator.neg, float8)
def _lower_negate(context, builder, sig, args):
    return builder.fneg(args[0])


@infer_global(operator.and_)
class _And(ConcreteTemplate):
    cases = [signature(mask8, mask8, mask8)]


@lower_builtin(operator.and_, mask8, mask8)
def _lower_and(context, builder, sig, args):
    return builder.and_(*args)


@intrinsic
def spread(typing, scalar):
    """float32 -> all eight lanes."""
    return float8(types.float32), lambda context, builder, sig, args: _spread(builder, args[0])


@intrinsic
def ramp(typing, step):
    """float32 step -> lanes 0, step, 2 step, ..., 7 step."""

    def emit(context, builder, sig, args):
        count = ir.Constant(_VF, [ir.Constant(_F, float(i)) for i in range(WIDTH)])
        return builder.fmul(count, _spread(builder, args[0]))

    return float8(types.float32), emit


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), _VF.as_pointer())


@intrinsic
def load(typing, array, index):
    """Eight consecutive values of a flat contiguous float32 array, from `index` on (no bounds check)."""
    if not isinstance(array, types.Array) or array.dtype != types.float32 or array.ndim != 1:
        return None

    def emit(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig.args[0], args[0], args[1]), align=4)

    return float8(array, types.intp), emit


@intrinsic
def store(typing, array, index, value):
    """Writes eight consecutive values of a flat contiguous float32 array (no bounds check)."""
    if not isinstance(array, types.Array) or array.dtype != types.float32 or array.ndim != 1:
        return None

    def emit(context, builder, sig, args):
        builder.store(args[2], _pointer(context, builder, sig.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, float8), emit


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, lane by lane, in one instruction where the processor has it."""

    def emit(context, builder, sig, args):
        lanes = [_as_lanes(builder, v, t) for v, t in zip(args, sig.args, strict=True)]
        return _call(builder, "llvm.fmuladd.v8f32", _VF, *lanes)

    kinds = [float8 if t == float8 else types.float32 for t in (a, b, c)]
    return float8(*kinds), emit


@intrinsic
def minimum(typing, a, b):
    """The smaller of two, lane by lane; `b` where either is NaN."""

    def emit(context, builder, sig, args):
        x, y = (_as_lanes(builder, v, t) for v, t in zip(args, sig.args, strict=True))
        return builder.select(builder.fcmp_ordered("<", x, y), x, y)

    return float8(a, b), emit


@intrinsic
def maximum(typing, a, b):
    """The larger of two, lane by lane; `b` where either is NaN."""

    def emit(context, builder, sig, args):
        x, y = (_as_lanes(builder, v, t) for v, t in zip(args, sig.args, strict=True))
        return builder.select(builder.fcmp_ordered(">", x, y), x, y)

    return float8(a, b), emit


@intrinsic
def where(typing, mask, value):
    """The value where the mask holds, 0 elsewhere."""

    def emit(context, builder, sig, args):
        return builder.select(args[0], args[1], _constant(0.0))

    return float8(mask8, float8), emit


@intrinsic
def bits(typing, mask):
    """A mask as an integer 0..255, lane 0 the lowest bit."""

    def emit(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(8)), _I64)

    return types.uint64(mask8), emit


@intrinsic
def square_root(typing, x):
    """Square root, lane by lane."""
    return float8(float8), lambda context, builder, sig, args: _call(builder, "llvm.sqrt.v8f32", _VF, args[0])


@intrinsic
def total(typing, x):
    """Sum of the eight lanes, always in the same order."""

    def emit(context, builder, sig, args):
        value, size = args[0], WIDTH
        while size > 1:
            size //= 2
            kind = ir.VectorType(_I, size)
            undefined = ir.Constant(value.type, ir.Undefined)
            low = builder.shuffle_vector(value, undefined, ir.Constant(kind, list(range(size))))
            high = builder.shuffle_vector(value, undefined, ir.Constant(kind, list(range(size, 2 * size))))
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(_I, 0))

    return types.float32(float8), emit


# Polynomial fit of 2^f on [-1/2, 1/2], relative error 4e-7; highest power first.
_EXP2 = (0.00967854, 0.05550347, 0.24022206, 0.69314718, 1.0000001)


@intrinsic
def exp2(typing, x):
    """2^x for -126 < x < 126, relative error below 4e-6. Outside that range the result is meaningless.

    Adding 1.5 * 2^23 leaves round(x) in the low bits of the sum; shifted into the exponent they scale the
    polynomial.
    """

    def emit(context, builder, sig, args):
        x, magic = args[0], _constant(12582912.0)
        shifted = builder.fadd(x, magic)
        fraction = builder.fsub(x, builder.fsub(shifted, magic))
        value = _constant(_EXP2[0])
        for coefficient in _EXP2[1:]:
            value = _call(builder, "llvm.fmuladd.v8f32", _VF, value, fraction, _constant(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, _VI), _integers(23))
        return builder.bitcast(builder.add(builder.bitcast(value, _VI), exponent), _VF)

    return float8(float8), emit


@intrinsic
def row_spans(typing, first, last):
    """Eight spans [first, last] of columns -> 64 bits, byte i holding the columns of span i as set bits.

    Both ends are rounded down, `first` in 0..9 and `last` in -2..7; a span with last < first is empty.
    """

    def emit(context, builder, sig, args):
        start = builder.fptosi(args[0], _VI)
        end = builder.fptosi(builder.fadd(args[1], _constant(2.0)), _VI)  # towards zero is down where >= 0
        end = builder.sub(end, _integers(1))
        one = _integers(1)
        span = builder.sub(builder.shl(one, end), builder.shl(one, start))
        span = builder.select(builder.icmp_signed("<", start, end), span, _integers(0))
        return builder.bitcast(builder.trunc(span, ir.VectorType(ir.IntType(8), WIDTH)), _I64)

    return types.uint64(float8, float8), emit


@intrinsic
def lowest_bit(typing, x):
    """Index of the lowest set bit of a non-zero uint64."""

    def emit(context, builder, sig, args):
        return _call(builder, "llvm.cttz.i64", _I64, args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), emit


@intrinsic
def take_ticket(typing, counter):
    """Returns counter[0] and adds one to it, atomically: how threads share out a list of work."""

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, value=args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(_I64, 1), "monotonic")

    return types.int64(counter), emit


@intrinsic
def peek(typing, array, index):
    """One value of a flat contiguous array, without the check for a negative index."""
    if not isinstance(array, types.Array) or array.ndim != 1:
        return None

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, value=args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), emit
