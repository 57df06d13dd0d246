internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Softmax cross-entropy, summed over the counted rows: `Σ log Σ exp(logits) − logits[target]`.
///
/// The derivative is of the sum, not of a mean: `dLogits = softmax(logits) − onehot(target)` in
/// counted rows and 0 in the others.
/// - Parameters:
///   - dLogits: (T, V), overwritten; may be `logits` itself; nil: not wanted.
///   - logits: (T, V).
///   - targets: (T), each in 0..<V; not looked at where `counted` is false.
///   - counted: (T), the loss mask.
/// - Returns: the loss of each row added in row order in f64, in nats.
public func softmaxCrossEntropy(
  dLogits: Floats?, _ logits: Floats, targets: [Int32], counted: [Bool], on compute: Compute
) -> Double {
  guard !targets.isEmpty else { return 0 }
  let columns = logits.count / targets.count
  precondition(logits.count == targets.count * columns, "(T, V) logits expected")
  precondition(counted.count == targets.count, "a mask of \(targets.count) expected")
  precondition(dLogits.map { $0.count == logits.count } ?? true, "(T, V) expected")
  for (target, isCounted) in zip(targets, counted) where isCounted {
    precondition(target >= 0 && Int(target) < columns, "target \(target) outside 0..<\(columns)")
  }
  var call = unsafe ck_cross_entropy()
  unsafe (call.rows, call.columns) = (targets.count, columns)
  unsafe call.logits = UnsafePointer(logits.base)
  unsafe call.gradient = dLogits?.base
  return unsafe targets.withUnsafeBufferPointer { targets in
    unsafe counted.withUnsafeBufferPointer { counted in
      unsafe (call.targets, call.counted) = (targets.baseAddress, counted.baseAddress)
      return unsafe ck_cross_entropy_run(compute.pool, &call)
    }
  }
}

/// The naive twin of `softmaxCrossEntropy`, in f64.
public func softmaxCrossEntropyReference(
  dLogits: Floats?, _ logits: Floats, targets: [Int32], counted: [Bool]
) -> Double {
  guard !targets.isEmpty else { return 0 }
  let columns = logits.count / targets.count
  precondition(logits.count == targets.count * columns, "(T, V) logits expected")
  precondition(counted.count == targets.count, "a mask of \(targets.count) expected")
  precondition(dLogits.map { $0.count == logits.count } ?? true, "(T, V) expected")
  var loss = 0.0
  for (row, target) in targets.enumerated() {
    let x = logits[row * columns..<(row + 1) * columns].array.map(Double.init)
    guard counted[row] else {
      dLogits?[row * columns..<(row + 1) * columns].fill(0)
      continue
    }
    precondition(target >= 0 && Int(target) < columns, "target \(target) outside 0..<\(columns)")
    let top = x.max() ?? 0
    let sum = x.reduce(0) { $0 + exp($1 - top) }
    loss += top + log(sum) - x[Int(target)]
    if let dLogits {
      for c in 0..<columns {
        dLogits[row * columns + c] = Float(exp(x[c] - top) / sum - (c == Int(target) ? 1 : 0))
      }
    }
  }
  return loss
}

/// Softmax of each row, `y = exp(x − max) / Σ exp(x − max)`; `y` may be `x` itself.
///
/// - Parameters:
///   - y: (T, C), overwritten.
///   - x: (T, C).
public func softmax(into y: Floats, _ x: Floats, columns: Int, on compute: Compute) {
  runRows(CK_SOFTMAX, into: y, x, columns: columns, on: compute)
}

/// The naive twin of `softmax`, in f64.
public func softmaxReference(into y: Floats, _ x: Floats, columns: Int) {
  precondition(x.count == y.count && x.count % columns == 0, "rows of \(columns) expected")
  for start in stride(from: 0, to: x.count, by: columns) {
    let row = x[start..<start + columns].array.map(Double.init)
    let top = row.max() ?? 0
    let sum = row.reduce(0) { $0 + exp($1 - top) }
    for c in 0..<columns { y[start + c] = Float(exp(row[c] - top) / sum) }
  }
}
