/// The shape of one product `C = op(A) · op(B)`, all row-major without gaps.
public struct Product: Equatable, Sendable {
  /// Rows of C.
  public var m: Int
  /// Columns of C.
  public var n: Int
  /// Length of the sums.
  public var k: Int
  /// A is stored as (k, m) rather than (m, k).
  public var transposeA: Bool
  /// B is stored as (n, k) rather than (k, n): Hugging Face's (out, in) weights.
  public var transposeB: Bool
  /// Adds to C instead of overwriting it.
  public var accumulate: Bool

  public init(
    m: Int, n: Int, k: Int,
    transposeA: Bool = false, transposeB: Bool = false, accumulate: Bool = false
  ) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.transposeA, self.transposeB) = (transposeA, transposeB)
    self.accumulate = accumulate
  }

  /// Floating-point operations: two for each of the m·n·k terms.
  public var operations: Double { 2 * Double(m) * Double(n) * Double(k) }
}

/// Who multiplies matrices.
public enum MatMulBackend: String, CaseIterable, Sendable {
  /// Three loops; for tests.
  case reference
  /// This project's own; see `NativeMatMul`.
  case native
  case openBLAS = "openblas"
  case oneDNN = "onednn"

  func make() throws(KernelError) -> any MatMul {
    switch self {
    case .reference: ReferenceMatMul()
    case .native: NativeMatMul()
    case .openBLAS: try OpenBLASMatMul()
    case .oneDNN: try OneDNNMatMul()
    }
  }
}

/// Multiplies matrices.
public protocol MatMul: Sendable {
  /// Names what decides the bits: backend, version, and kernels where they matter.
  func kernelSet(on compute: Compute) -> String

  /// Whether `compute.products` may be bf16.
  var multipliesBF16: Bool { get }

  /// `c = op(a) · op(b)`, or `c += …`; shapes are checked by the caller, `matmul`.
  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute)

  /// op(b), laid out in `memory` for many products; nil: this backend reads it best as it lies.
  func pack(
    _ b: Floats, _ product: Product, in memory: Arena, on compute: Compute
  ) -> PackedMatrix?

  /// As `multiply(into:_:_:_:on:)`, with the same bits; `b` is what `pack` gave on this `compute`.
  /// With a bias each sum begins with its column's.
  func multiply(
    into c: Floats, _ a: Floats, _ b: PackedMatrix, bias: Floats?, _ product: Product,
    on compute: Compute)
}

extension MatMul {
  public var multipliesBF16: Bool { false }

  public func pack(
    _ b: Floats, _ product: Product, in memory: Arena, on compute: Compute
  ) -> PackedMatrix? { nil }

  public func multiply(
    into c: Floats, _ a: Floats, _ b: PackedMatrix, bias: Floats?, _ product: Product,
    on compute: Compute
  ) { preconditionFailure("this backend packs nothing") }
}

/// The right side of a product, op(B), in the layout that the kernels read: packed once for a
/// matrix that serves many products, like a weight. It is a copy: later changes of B are not in it.
public struct PackedMatrix: Sendable {
  /// op(B) is (k, n).
  public let n, k: Int
  /// How the elements are kept; nil: as floats.
  let codes: CodeLayout?
  /// Whose panels: their width is the registers'.
  let instructionSet: InstructionSet
  /// What floats are kept as; of codes it says nothing.
  var products = ProductPrecision.f32
  /// The panels one after the other; of codes the bytes, too.
  let panels: Floats

  /// Memory taken, in bytes.
  public var bytes: Int { 4 * panels.count }

  func check(on compute: Compute) {
    precondition(
      compute.instructionSet == instructionSet,
      "packed for \(instructionSet), used on \(compute.instructionSet)")
    precondition(
      codes != nil || compute.products == products,
      "packed as \(products), used on \(compute.products)")
  }
}

/// `C = op(A) · op(B)`, or `C += …`, by the backend of `compute`.
///
/// - Parameters:
///   - c: (m, n), must not overlap `a` or `b`.
///   - a: (m, k), or (k, m) with `transposeA`.
///   - b: (k, n), or (n, k) with `transposeB`.
/// - Precondition: the counts match the shape.
public func matmul(
  into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute
) {
  precondition(product.m >= 0 && product.n >= 0 && product.k >= 0, "negative \(product)")
  precondition(
    c.count == product.m * product.n && a.count == product.m * product.k
      && b.count == product.k * product.n,
    "c \(c.count), a \(a.count), b \(b.count) do not fit \(product)")
  precondition(!c.overlaps(a) && !c.overlaps(b), "the result overlaps an input")
  guard product.m > 0, product.n > 0 else { return }
  compute.matMul.multiply(into: c, a, b, product, on: compute)
}

/// Lays the right side of a product out for many; see `PackedMatrix`.
///
/// - Parameters:
///   - b: (k, n), or (n, k) with `transposeB`.
///   - product: `m` and what is said of A do not matter.
///   - memory: where the layout is put. All matrices of a model in one arena come to lie in huge
///     pages, for which most of them alone are too small.
/// - Returns: nil when the backend of `compute` has no such layout.
public func pack(
  _ b: Floats, _ product: Product, in memory: Arena, on compute: Compute
) -> PackedMatrix? {
  precondition(b.count == product.n * product.k, "b \(b.count) does not fit \(product)")
  return compute.matMul.pack(b, product, in: memory, on: compute)
}

/// As `matmul(into:_:_:_:on:)` on the matrix that was packed, with the same bits; with a bias, as
/// if it had been in every row of C and were added to.
///
/// - Parameter bias: (n), not together with `accumulate`.
/// - Precondition: the counts match the shape; `b` was packed on a `compute` with the same
///   instruction set.
public func matmul(
  into c: Floats, _ a: Floats, _ b: PackedMatrix, bias: Floats? = nil, _ product: Product,
  on compute: Compute
) {
  precondition(
    bias.map { $0.count == product.n && !product.accumulate } ?? true,
    "a bias of \(product.n) expected, and none to add to what is there")
  precondition(
    c.count == product.m * product.n && a.count == product.m * product.k && b.n == product.n
      && b.k == product.k, "c \(c.count), a \(a.count), b (\(b.k), \(b.n)) do not fit \(product)")
  precondition(!c.overlaps(a), "the result overlaps an input")
  b.check(on: compute)
  guard product.m > 0, product.n > 0 else { return }
  compute.matMul.multiply(into: c, a, b, bias: bias, product, on: compute)
}

/// The naive twin: each element is one chain of fused multiply-adds over k in order, which begins
/// at the old value (`accumulate`) or 0. `NativeMatMul` gives exactly these bits.
public func matmulReference(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product) {
  let (m, n, k) = (product.m, product.n, product.k)
  for i in 0..<m {
    for j in 0..<n {
      var sum: Float = product.accumulate ? c[i * n + j] : 0
      for p in 0..<k {
        let x = product.transposeA ? a[p * m + i] : a[i * k + p]
        let y = product.transposeB ? b[j * k + p] : b[p * n + j]
        sum.addProduct(x, y)
      }
      c[i * n + j] = sum
    }
  }
}

/// The naive twin of products of bf16: both sides are rounded first. The terms are taken in groups
/// of 32, the last one filled up with zeros. Of each group the even terms are one chain of fused
/// multiply-adds from 0, the odd terms another; then C = C + (even + odd). Subnormal numbers count
/// as 0 wherever they are read or would be written. `NativeMatMul` gives exactly these bits.
///
/// - Source: what a tile's dot product of bf16 computes, Intel 64 and IA-32 Architectures Software
///   Developer's Manual, volume 2, TDPBF16PS; the padding and the order of groups are ours.
public func halfMatmulReference(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product) {
  let (m, n, k) = (product.m, product.n, product.k)
  func term(_ i: Int, _ j: Int, _ p: Int) -> (Float, Float) {
    guard p < k else { return (0, 0) }
    return (
      bf16Reference(flushed(product.transposeA ? a[p * m + i] : a[i * k + p])),
      bf16Reference(flushed(product.transposeB ? b[j * k + p] : b[p * n + j]))
    )
  }
  for i in 0..<m {
    for j in 0..<n {
      var sum = product.accumulate ? flushed(c[i * n + j]) : 0
      for group in stride(from: 0, to: k, by: 32) {
        var (even, odd): (Float, Float) = (0, 0)
        for p in stride(from: group, to: group + 32, by: 2) {
          let (first, second) = (term(i, j, p), term(i, j, p + 1))
          even = flushed(even.addingProduct(first.0, first.1))
          odd = flushed(odd.addingProduct(second.0, second.1))
        }
        sum = flushed(sum + flushed(even + odd))
      }
      c[i * n + j] = sum
    }
  }
}

/// 0 of the same sign for a subnormal number.
private func flushed(_ x: Float) -> Float {
  abs(x) < .leastNormalMagnitude ? Float(signOf: x, magnitudeOf: 0) : x
}

/// The nearest bf16, ties to even; what is not a number stays none.
///
/// - Source: the format is f32's upper half.
func bf16Reference(_ value: Float) -> Float {
  let bits = value.bitPattern
  if value.isNaN { return Float(bitPattern: (bits | 0x40_0000) & 0xffff_0000) }
  let near = bits &+ 0x7fff &+ (bits >> 16 & 1)
  return Float(bitPattern: near & 0xffff_0000)
}

struct ReferenceMatMul: MatMul {
  func kernelSet(on compute: Compute) -> String { "native-fma-chain-1+bf16-groups-1" }

  var multipliesBF16: Bool { true }

  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    if compute.products == .bf16 {
      halfMatmulReference(into: c, a, b, product)
    } else {
      matmulReference(into: c, a, b, product)
    }
  }
}
