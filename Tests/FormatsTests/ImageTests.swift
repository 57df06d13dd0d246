import Foundation
import TestSupport
import Testing

@testable import Formats

private func levels(_ picture: Picture) -> [Float] { picture.pixels.map { Float($0) } }

private func decode(_ name: String) throws -> Picture {
  try Picture.decode(fixtureBytes("images/\(name)"), name: name)
}

@Suite("A picture")
struct PictureTests {
  @Test("of every kind is decoded to Pillow's pixels")
  func decoded() throws {
    let expected = try TensorStore(safetensors: fixture("images/decoded.safetensors"))
    #expect(expected.names.count == 18)
    for name in expected.names {
      let picture = try decode(name)
      #expect(try expected.shape(of: name) == [picture.height, picture.width, 3])
      #expect(try levels(picture) == expected.floats(name), "\(name)")
    }
  }

  @Test("is resized bit for bit as Pillow does it")
  func resized() throws {
    let expected = try TensorStore(safetensors: fixture("images/resized.safetensors"))
    let source = try decode("rgb.png")
    #expect(expected.names.count == 16)
    for name in expected.names {
      let words = name.split(separator: " ")
      let filter: ResampleFilter = words[0] == "bilinear" ? .bilinear : .bicubic
      let width = try #require(Int(words[1]))
      let height = try #require(Int(words[2]))
      let result = source.resized(width: width, height: height, filter)
      #expect(result.width == width && result.height == height)
      #expect(try levels(result) == expected.floats(name), "\(name)")
    }
  }

  @Test("is resized as by its naive twin, whatever the sizes")
  func resizedAsNaively() {
    var state: UInt32 = 1
    func random() -> UInt8 {
      state = state &* 1_664_525 &+ 1_013_904_223
      // Half of the levels are the extremes, whose sums leave 0…255.
      return state >> 31 == 0 ? UInt8(state >> 16 & 255) : state >> 30 & 1 == 0 ? 0 : 255
    }
    let sizes = [
      (1, 1, 5, 7), (1, 9, 3, 4), (2, 2, 2, 5), (3, 2, 1, 1), (7, 5, 21, 2), (22, 3, 5, 3),
      (64, 8, 64, 3), (65, 31, 33, 47), (43, 90, 86, 7), (129, 6, 100, 13),
    ]
    for (width, height, newWidth, newHeight) in sizes {
      let source = Picture(
        width: width, height: height, pixels: (0..<3 * width * height).map { _ in random() })
      for filter in [ResampleFilter.bilinear, .bicubic] {
        let result = source.resized(width: newWidth, height: newHeight, filter)
        let isSame = result == source.resizedNaively(width: newWidth, height: newHeight, filter)
        #expect(isSame, "\(width)×\(height) to \(newWidth)×\(newHeight)")
      }
    }
  }

  @Test("gives any part of itself, black where there is none")
  func region() {
    let source = Picture(width: 5, height: 4, pixels: (0..<60).map { UInt8($0 + 1) })
    for (top, left, height, width) in [(1, 2, 2, 3), (-2, -1, 9, 8), (3, 4, 2, 2), (0, 7, 2, 2)] {
      let part = source.region(
        top: top, left: left, ImageProcessor.Size(height: height, width: width))
      for place in 0..<3 * height * width {
        let (x, y) = (place / 3 % width + left, place / 3 / width + top)
        let isInside = (0..<5).contains(x) && (0..<4).contains(y)
        #expect(part.pixels[place] == (isInside ? source.pixels[3 * (5 * y + x) + place % 3] : 0))
      }
    }
  }

  @Test(
    "cut off anywhere is refused",
    arguments: [
      "rgb.png", "interlaced.png", "palette.png", "jpeg-444.jpg", "jpeg-progressive.jpg",
      "jpeg-cmyk.jpg",
    ])
  func truncated(_ name: String) throws {
    let whole = try fixtureBytes("images/\(name)")
    for count in 0..<whole.count {
      #expect(throws: FormatError.self, "\(name) cut to \(count)") {
        try Picture.decode(Array(whole[..<count]), name: name)
      }
    }
  }

  @Test("with any one byte damaged is decoded or refused, never more")
  func damaged() throws {
    for name in ["interlaced.png", "palette-4bit.png", "jpeg-progressive.jpg", "jpeg-cmyk.jpg"] {
      let whole = try fixtureBytes("images/\(name)")
      for index in whole.indices {
        var bytes = whole
        bytes[index] ^= 0xFF
        do {
          let picture = try Picture.decode(bytes, name: name)
          #expect(picture.pixels.count == 3 * picture.width * picture.height)
        } catch { #expect(error.file == name) }
      }
    }
  }

  @Test("that is none says so")
  func noPicture() {
    let text = Array("<!DOCTYPE html>".utf8)
    #expect(
      formatError { _ = try Picture.decode(text, name: "x.jpg") }?.problem
        == .unsupported(found: "neither JPEG nor PNG in 15 bytes"))
    #expect(formatError { _ = try Picture.decode([], name: "x.jpg") }?.file == "x.jpg")
  }

  @Test("with more pixels than the limit is refused before memory is taken")
  func bomb() throws {
    var bytes = try fixtureBytes("images/jpeg-444.jpg")
    let frame = try #require(
      bytes.indices.first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
    bytes.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0xDC, 0xFF, 0xDC])
    #expect(
      formatError { _ = try Picture.decode(bytes, name: "x.jpg") }?.problem
        == .overLimit(found: 65_500 * 65_500, limit: UInt64(Picture.pixelsMax)))
  }
}

@Suite("An image processor")
struct ImageProcessorTests {
  @Test(
    "gives the pixel values of transformers with Pillow",
    arguments: ["clip", "bit", "bilinear", "padded", "siglip", "tiles", "unscaled"])
  func golden(_ name: String) throws {
    let processor = try ImageProcessor(folder: fixture("images/processor-\(name)"))
    let expected = try TensorStore(safetensors: fixture("images/processed.safetensors"))
    for file in ["wide.png", "tall.png", "tiny.png"] {
      let values = try processor.pixelValues(fixtureBytes("images/\(file)"), name: file)
      let key = "\(name) \(file)"
      let tiles = values.pictureSize == nil ? [] : [values.tileCount]
      #expect(try expected.shape(of: key) == tiles + [3, values.height, values.width])
      #expect(try relativeDifference(values.values, expected.floats(key)) == 0, "\(key)")
    }
  }

  @Test(
    "that is saved reads back the same",
    arguments: ["clip", "bit", "bilinear", "padded", "siglip", "tiles", "unscaled"])
  func saved(_ name: String) throws {
    let processor = try ImageProcessor(folder: fixture("images/processor-\(name)"))
    try withTemporaryFolder { folder in
      try processor.save(folder: folder)
      #expect(try ImageProcessor(folder: folder) == processor)
    }
  }

  @Test("chooses LLaVA-NeXT's resolution for a picture, and leaves out the features of its border")
  func tiling() throws {
    let store = try TensorStore(safetensors: fixture("images/tiling.safetensors"))
    let numbers = try store.floats("tiling").map { Int($0) }
    #expect(numbers.count == 159 * 8)
    for row in stride(from: 0, to: numbers.count, by: 8) {
      let size = ImageProcessor.Size(height: numbers[row], width: numbers[row + 1])
      let best = size.best(of: ImageProcessor.usualResolutions)
      let kept = TiledFeatures(picture: size, resolution: best, tile: 336, side: 24)
      let found = [
        best.height, best.width, kept.lines.lowerBound, kept.lines.upperBound,
        kept.columns.lowerBound, kept.columns.upperBound,
      ]
      #expect(found == Array(numbers[row + 2..<row + 8]), "\(size)")
    }
  }

  @Test("is found in a processor_config.json, has defaults, and takes sizes as plain numbers")
  func forms() throws {
    let clip = ImageProcessor(
      resize: .shortestEdge(224), crop: ImageProcessor.Size(height: 224, width: 224))
    #expect(try ImageProcessor(json: Array("{}".utf8), name: "x") == clip)
    #expect(
      try ImageProcessor(json: Array(#"{"size": 224, "crop_size": 224}"#.utf8), name: "x") == clip)
    try withTemporaryFolder { folder in
      let text = #"{"image_processor": {"image_processor_type": "BitImageProcessor"}}"#
      _ = try write(text.utf8, folder, "processor_config.json")
      #expect(try ImageProcessor(folder: folder).kind == .bit)
    }
    let siglip = ImageProcessor(
      kind: .siglip, resize: .exact(ImageProcessor.Size(height: 224, width: 224)), crop: nil,
      normalization: .half)
    let named = #"{"image_processor_type": "SiglipImageProcessor"}"#
    #expect(try ImageProcessor(json: Array(named.utf8), name: "x") == siglip)
  }

  @Test("refuses a picture so long that resizing would burst the limit")
  func longPicture() {
    let processor = ImageProcessor(resize: .shortestEdge(336), crop: nil)
    let line = Picture(
      width: 30_000, height: 1, pixels: [UInt8](repeating: 9, count: 90_000))
    guard case .overLimit = formatError({ _ = try processor.pixelValues(of: line) })?.problem else {
      Issue.record("3.4 thousand million pixels were made")
      return
    }
  }

  @Test(
    "with settings that it cannot follow names the key",
    arguments: [
      (#"{"image_processor_type": "ViTImageProcessor"}"#, "image_processor_type"),
      (#"{"resample": 1}"#, "resample"), (#"{"size": 0}"#, "size"),
      (#"{"size": {"height": 5}}"#, "size.width"),
      (#"{"size": {"longest_edge": 5}}"#, "size.longest_edge"),
      (#"{"crop_size": {"height": 5}}"#, "crop_size.width"), (#"{"do_pad": true}"#, "do_pad"),
      (#"{"image_mean": [1, 2]}"#, "image_mean"), (#"{"image_std": [0, 1, 1]}"#, "image_std"),
      (
        #"{"image_processor_type": "LlavaNextImageProcessor", "crop_size": 336}"#, "crop_size"
      ),
      (
        #"{"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[224, 9]]}"#,
        "image_grid_pinpoints"
      ),
      (#"{"do_resize": 1}"#, "do_resize"), (#"{"rescale_factor": 0}"#, "rescale_factor"),
    ])
  func refused(_ text: String, _ key: String) {
    #expect(
      formatError { _ = try ImageProcessor(json: Array(text.utf8), name: "x") }?.subject
        == "key \(key)")
  }
}
