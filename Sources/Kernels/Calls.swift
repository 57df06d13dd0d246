internal import CKernels

// How the kernels in C are called: shapes are checked here, pointers are taken here.

/// An operation on each element; counts are checked by the caller.
func runElements(
  _ operation: ck_element_operation, into out: Floats, and second: Floats? = nil,
  _ inputs: Floats..., factor: Float = 0, on compute: Compute
) {
  var call = unsafe ck_elements()
  unsafe call.operation = operation
  unsafe call.count = out.count
  unsafe call.out0 = out.base
  unsafe call.out1 = second?.base
  if inputs.count > 0 { unsafe call.in0 = UnsafePointer(inputs[0].base) }
  if inputs.count > 1 { unsafe call.in1 = UnsafePointer(inputs[1].base) }
  if inputs.count > 2 { unsafe call.in2 = UnsafePointer(inputs[2].base) }
  unsafe call.factor = factor
  unsafe ck_elements_run(compute.pool, &call)
}

/// An operation on each row.
/// - Precondition: whole rows of `columns`, a weight of `columns` where there is one.
func runRows(
  _ operation: ck_row_operation, into out: Floats, _ x: Floats, columns: Int,
  weight: Floats? = nil, bias: Floats? = nil, plus: Float = 0, eps: Float = 0,
  on compute: Compute
) {
  checkRows(out, x, columns: columns, weight)
  guard columns > 0 else { return }
  var call = unsafe ck_rows()
  unsafe call.operation = operation
  unsafe (call.rows, call.columns) = (x.count / columns, columns)
  unsafe call.out = out.base
  unsafe call.in0 = UnsafePointer(x.base)
  unsafe call.weight = weight.map { unsafe UnsafePointer($0.base) }
  unsafe call.bias = bias.map { unsafe UnsafePointer($0.base) }
  unsafe (call.plus, call.eps) = (plus, eps)
  unsafe ck_rows_run(compute.pool, &call)
}

/// The backward pass of a norm.
/// - Precondition: equal counts of whole rows; sums as long as the weight.
func runNormBackward(
  _ operation: ck_row_operation, dx: Floats, dWeight: Floats?, dBias: Floats?, dy: Floats,
  _ x: Floats, weight: Floats, plus: Float = 0, eps: Float, accumulate: Bool,
  on compute: Compute
) {
  let columns = weight.count
  checkRows(dx, x, columns: columns, weight)
  precondition(dy.count == x.count, "\(x.count) values expected, \(dy.count) given")
  precondition(dWeight.map { $0.count == columns } ?? true, "\(columns) sums expected")
  precondition(dBias.map { $0.count == columns } ?? true, "\(columns) sums expected")
  precondition(!dx.overlaps(dy) && !dx.overlaps(x), "the result overlaps an input")
  guard columns > 0 else { return }
  var call = unsafe ck_rows()
  unsafe call.operation = operation
  unsafe (call.rows, call.columns) = (x.count / columns, columns)
  unsafe call.out = dx.base
  unsafe call.in0 = UnsafePointer(x.base)
  unsafe call.in1 = UnsafePointer(dy.base)
  unsafe call.weight = UnsafePointer(weight.base)
  unsafe (call.plus, call.eps) = (plus, eps)
  unsafe call.accumulate = accumulate
  unsafe ck_norm_backward(compute.pool, &call, dWeight?.base, dBias?.base)
}

/// `sums += Σ rows of dy` and `products += Σ rows of dy · x`.
/// - Precondition: whole rows of `columns`.
func runColumns(
  sums: Floats?, products: Floats?, _ dy: Floats, _ x: Floats?, columns: Int, on compute: Compute
) {
  precondition(columns > 0 && dy.count % columns == 0, "rows of \(columns) expected")
  var call = unsafe ck_columns()
  unsafe (call.rows, call.columns) = (dy.count / columns, columns)
  unsafe call.sums = sums?.base
  unsafe call.products = products?.base
  unsafe call.dy = UnsafePointer(dy.base)
  unsafe call.x = x.map { unsafe UnsafePointer($0.base) }
  unsafe ck_columns_run(compute.pool, &call)
}

private func checkRows(_ out: Floats, _ x: Floats, columns: Int, _ weight: Floats?) {
  precondition(columns > 0 || x.isEmpty, "columns expected")
  precondition(
    out.count == x.count && (columns == 0 || x.count % columns == 0),
    "rows of \(columns) expected, \(x.count) and \(out.count) values given")
  precondition(weight.map { $0.count == columns } ?? true, "\(columns) weights expected")
}
