/// A drawing of 48 by 48 pixels, red, green and blue, row by row from the top left.
public struct Drawing: Hashable, Sendable {
  public static let side = 48
  public static let cellSide = 16
  /// (side, side, 3) row-major.
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) {
    precondition(bytes.count == Drawing.side * Drawing.side * 3, "48 by 48 by 3 bytes expected")
    self.bytes = bytes
  }
}

extension Scene {
  /// Draws the scene, in integers only: the same bytes on every machine.
  ///
  /// Each pixel is the mean of 4 by 4 points; lengths below are in quarters of a pixel.
  public func drawing() -> Drawing {
    var bytes = [UInt8](repeating: 0, count: Drawing.side * Drawing.side * 3)
    let drawn = objects.indices.map { figure(ofObject: $0) }
    for y in 0..<Drawing.side {
      for x in 0..<Drawing.side {
        var pixel = kind.background(x: x, y: y)
        for figure in drawn {
          let covered = figure.coverage(x: x, y: y)
          if covered > 0 { pixel = pixel.blended(with: figure.colour, sixteenths: covered) }
        }
        let start = (y * Drawing.side + x) * 3
        bytes[start] = UInt8(pixel.red)
        bytes[start + 1] = UInt8(pixel.green)
        bytes[start + 2] = UInt8(pixel.blue)
      }
    }
    return Drawing(bytes: bytes)
  }

  /// Where and how large the object at `position` is drawn.
  private func figure(ofObject position: Int) -> Figure {
    let object = objects[position]
    let radius = object.size == .big ? 26 : 14
    let cell = Drawing.cellSide * 4
    var x = object.place.column * cell + cell / 2
    var y = object.place.row * cell + cell / 2
    if let touching, touching.first == position || touching.second == position {
      // Both partners move to the border of their cells and meet there.
      let other = objects[touching.first == position ? touching.second : touching.first].place
      let shift = cell / 2 - radius
      x += (other.column - object.place.column) * shift
      y += (other.row - object.place.row) * shift
    } else {
      x += (Int(jitter) >> (position * 2 % 14) & 3) - 1
      y += (Int(jitter) >> ((position * 2 + 5) % 14) & 3) - 1
    }
    return Figure(
      form: object.form, isBig: object.size == .big, x: x, y: y, radius: radius,
      colour: object.colour.pixel)
  }
}

private struct Pixel {
  var red: Int
  var green: Int
  var blue: Int

  init(_ red: Int, _ green: Int, _ blue: Int) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  func blended(with other: Pixel, sixteenths: Int) -> Pixel {
    let rest = 16 - sixteenths
    return Pixel(
      (red * rest + other.red * sixteenths + 8) / 16,
      (green * rest + other.green * sixteenths + 8) / 16,
      (blue * rest + other.blue * sixteenths + 8) / 16)
  }
}

extension Colour {
  fileprivate var pixel: Pixel {
    switch self {
    case .red: Pixel(220, 20, 20)
    case .green: Pixel(10, 130, 30)
    case .blue: Pixel(30, 50, 225)
    case .yellow: Pixel(250, 225, 10)
    case .white: Pixel(252, 252, 252)
    case .pink: Pixel(245, 80, 195)
    }
  }
}

extension SceneKind {
  /// A base colour with a texture that tells the places apart in every cell.
  fileprivate func background(x: Int, y: Int) -> Pixel {
    switch self {
    case .meadow:
      (x * 5 + y * 3) % 7 == 0 ? Pixel(110, 175, 90) : Pixel(155, 205, 130)
    case .desert:
      (x + 2 * y) % 8 < 2 ? Pixel(200, 170, 115) : Pixel(225, 200, 150)
    case .sea:
      (y + abs(x % 8 - 4)) % 6 == 0 ? Pixel(185, 220, 240) : Pixel(120, 180, 215)
    case .space:
      (x * 7 + y * 11) % 29 == 0 ? Pixel(190, 190, 205) : Pixel(22, 22, 42)
    }
  }
}

/// One object on the canvas; its centre and radius in quarters of a pixel.
private struct Figure {
  var form: Form
  var isBig: Bool
  var x: Int
  var y: Int
  var radius: Int
  var colour: Pixel

  /// How many of the 16 points of a pixel lie on the figure.
  func coverage(x pixelX: Int, y pixelY: Int) -> Int {
    let reach = radius + 8
    guard abs(pixelX * 4 + 2 - x) <= reach, abs(pixelY * 4 + 2 - y) <= reach else { return 0 }
    var count = 0
    for point in 0..<16 {
      // Points sit at the middle of their quarters: twice the distance keeps them whole.
      let dx = 2 * (pixelX * 4 + point % 4 - x) + 1
      let dy = 2 * (pixelY * 4 + point / 4 - y) + 1
      if contains(dx: dx, dy: dy) { count += 1 }
    }
    return count
  }

  /// - Parameters: the distance from the centre, in eighths of a pixel.
  private func contains(dx: Int, dy: Int) -> Bool {
    let r = 2 * radius
    switch form {
    case .shape(.circle): return dx * dx + dy * dy <= r * r
    case .shape(.square): return abs(dx) <= r && abs(dy) <= r
    case .shape(.triangle): return abs(dy) <= r && 2 * abs(dx) <= dy + r
    case .shape(.cross): return max(abs(dx), abs(dy)) <= r && 3 * min(abs(dx), abs(dy)) <= r
    case .shape(.diamond): return abs(dx) + abs(dy) <= r
    case .sign(let sign):
      // A letter is 5 by 7 dots of one pixel when small, of two when big.
      let dot = isBig ? 16 : 8
      let column = (dx + 5 * dot / 2)
      let row = (dy + 7 * dot / 2)
      guard column >= 0, row >= 0, column < 5 * dot, row < 7 * dot else { return false }
      return sign.dots[row / dot] >> (4 - column / dot) & 1 == 1
    }
  }
}

extension Sign {
  /// Seven rows of five dots, the leftmost dot in the highest bit.
  fileprivate var dots: [Int] {
    switch self {
    case .e: [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111]
    case .h: [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]
    case .k: [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001]
    case .l: [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111]
    case .t: [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100]
    case .z: [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b11111]
    case .two: [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111]
    case .three: [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110]
    case .four: [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010]
    case .five: [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110]
    case .seven: [0b11111, 0b00001, 0b00010, 0b00010, 0b00100, 0b00100, 0b00100]
    case .nine: [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100]
    }
  }
}
