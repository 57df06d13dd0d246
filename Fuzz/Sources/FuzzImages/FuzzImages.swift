import Formats

/// Any bytes are a JPEG or PNG that becomes pixel values, or a `FormatError`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  let edge = ImageProcessor.Size(height: 8, width: 8)
  let processor = ImageProcessor(resize: .shortestEdge(8), crop: edge)
  var tiling = processor
  tiling.resolutions = [(8, 16), (24, 8), (16, 16)].map { .init(height: $0.0, width: $0.1) }
  do throws(FormatError) {
    // Small pictures only: the limit is tested elsewhere, and time belongs to many inputs.
    let picture = try Picture.decode(bytes, name: "input", limit: 1 << 16)
    let values = try processor.pixelValues(of: picture, name: "input")
    precondition(values.values.count == 3 * 8 * 8, "pixel values of another size")
    let tiles = try tiling.pixelValues(of: picture, name: "input")
    precondition(tiles.values.count == tiles.tileCount * 3 * 8 * 8, "tiles of another size")
  } catch {
    precondition(error.file == "input", "an error that does not name its file")
  }
  return 0
}
