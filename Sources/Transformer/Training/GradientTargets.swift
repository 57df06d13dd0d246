import Formats
import Kernels

/// Windows on the gradient for what is trained; nil for what is frozen.
struct GradientTargets {
  let vision: VisionTensors<Floats>?
  let projector: ProjectorTensors<Floats>?
  let adapters: DecoderAdapters<Floats>?
  let decoder: DecoderTensors<Floats>?

  /// - Parameter start: of the gradient in the vector of all parameters.
  init(_ model: Model, _ trained: TrainedParts, _ gradient: GradientMemory, from start: Int) {
    let layout = model.layout
    let unused = Floats(zeros: layout.range(of: .unused).count)
    let taker = layout.taker { range in
      range.isEmpty
        ? unused[0..<0] : gradient.window(range.lowerBound - start..<range.upperBound - start)
    }
    let take: TakeTensor<Floats> = { name, shape in
      // Nothing depends on these tensors, so nothing is added to them.
      if let parameter = layout[name], parameter.part == .unused { return unused[parameter.range] }
      return taker(name, shape)
    }
    projector = model.llava.map { ProjectorTensors($0, take) }
    vision =
      trained.contains(.vision)
      ? model.llava.map { VisionTensors("vision_tower.", $0.vision, take) } : nil
    let prefix = layout.decoderPrefix(model.config)
    adapters =
      trained.contains(.adapters)
      ? model.adapters.map { DecoderAdapters(prefix, model.text, $0, take) } : nil
    decoder =
      trained.contains(.language)
      ? DecoderTensors(prefix, model.text, take) : nil
  }
}
