import Formats
import Kernels

/// Windows on the gradient for what is trained; nil for what is frozen.
struct GradientTargets {
  let vision: VisionTensors<Floats>?
  let projector: ProjectorTensors<Floats>?
  let adapters: DecoderAdapters<Floats>?
  let decoder: DecoderTensors<Floats>?

  init(_ model: Model, _ trained: TrainedParts, _ gradient: Floats, from start: Int) {
    let layout = model.layout
    let unused = Floats(zeros: layout.range(of: .unused).count)
    let take: TakeTensor<Floats> = { name, shape in
      // Nothing depends on these tensors, so nothing is added to them.
      if let parameter = layout[name], parameter.part == .unused { return unused[parameter.range] }
      return layout.taker(of: gradient, from: start)(name, shape)
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
