import CProtocol
import Domain

extension PromptPart {
  init(_ message: Comd__PromptPart) throws(ProtocolError) {
    switch unsafe message.kind_case {
    case COMD__PROMPT_PART__KIND_TEXT:
      self = .text(try unsafe Checked.text(message.text, "prompt.text"))
    case COMD__PROMPT_PART__KIND_CONTROL:
      self = .control(try unsafe Checked.name(message.control, "prompt.control"))
    case COMD__PROMPT_PART__KIND_IMAGE:
      self = .image(try unsafe Checked.digest(message.image, "prompt.image"))
    default: throw .missing(field: "prompt part")
    }
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__PromptPart> {
    let c = unsafe arena.make(comd__prompt_part__init)
    switch self {
    case .text(let text):
      unsafe c.pointee.kind_case = COMD__PROMPT_PART__KIND_TEXT
      unsafe c.pointee.text = arena.data(text)
    case .control(let name):
      unsafe c.pointee.kind_case = COMD__PROMPT_PART__KIND_CONTROL
      unsafe c.pointee.control = arena.data(name)
    case .image(let digest):
      unsafe c.pointee.kind_case = COMD__PROMPT_PART__KIND_IMAGE
      unsafe c.pointee.image = arena.data(digest.bytes)
    }
    return unsafe c
  }
}

extension Sampling {
  init(_ message: Comd__Sampling) throws(ProtocolError) {
    self.init(
      temperature: try unsafe Checked.real(message.temperature, "temperature", in: 0...1000),
      topP: try unsafe Checked.real(message.top_p, "top_p", in: 0...1),
      tokensMax: try unsafe Checked.integer(
        message.tokens_max, "tokens_max", in: 0...WireLimits.tokensMax),
      seed: unsafe message.seed,
      stops: try unsafe Checked.list(
        message.stops, message.n_stops, "stops", max: WireLimits.stopsMax, Checked.name))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__Sampling> {
    let c = unsafe arena.make(comd__sampling__init)
    unsafe c.pointee.temperature = temperature
    unsafe c.pointee.top_p = topP
    unsafe c.pointee.tokens_max = UInt32(tokensMax)
    unsafe c.pointee.seed = seed
    unsafe c.pointee.n_stops = stops.count
    unsafe c.pointee.stops = arena.array(stops.map { unsafe arena.data($0) })
    return unsafe c
  }
}

extension Precision {
  init(_ message: Comd__Precision, _ field: String) throws(ProtocolError) {
    switch message {
    case COMD__PRECISION__PRECISION_F32: self = .f32
    case COMD__PRECISION__PRECISION_BF16: self = .bf16
    case COMD__PRECISION__PRECISION_INT8: self = .int8
    default: throw .missing(field: field)
    }
  }

  var message: Comd__Precision {
    switch self {
    case .f32: COMD__PRECISION__PRECISION_F32
    case .bf16: COMD__PRECISION__PRECISION_BF16
    case .int8: COMD__PRECISION__PRECISION_INT8
    }
  }
}

extension GenerationRequest {
  init(_ message: Comd__GenerationRequest) throws(ProtocolError) {
    self.init(
      model: try unsafe Checked.digest(message.model, "request.model"),
      prompt: Prompt(
        try unsafe Checked.messages(
          message.prompt, message.n_prompt, "request.prompt", max: WireLimits.partsMax
        ) { part throws(ProtocolError) in try unsafe PromptPart(part) }),
      sampling: try unsafe Sampling(Checked.present(message.sampling, "request.sampling")),
      precision: try unsafe Precision(message.precision, "request.precision"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__GenerationRequest> {
    let c = unsafe arena.make(comd__generation_request__init)
    unsafe c.pointee.model = arena.data(model.bytes)
    unsafe c.pointee.n_prompt = prompt.parts.count
    unsafe c.pointee.prompt = arena.pointers(prompt.parts.map { unsafe $0.message(in: arena) })
    unsafe c.pointee.sampling = sampling.message(in: arena)
    unsafe c.pointee.precision = precision.message
    return unsafe c
  }
}

extension GenerationResult {
  init(_ message: Comd__GenerationResult) throws(ProtocolError) {
    let stop: StopReason =
      switch unsafe message.stop {
      case COMD__STOP_REASON__STOP_TOKEN: .stopToken
      case COMD__STOP_REASON__STOP_TOKENS_MAX: .tokensMax
      case COMD__STOP_REASON__STOP_CONTEXT_FULL: .contextFull
      default: throw .missing(field: "result.stop")
      }
    self.init(
      text: try unsafe Checked.text(message.text, "result.text"),
      tokens: try unsafe Checked.list(
        message.tokens, message.n_tokens, "result.tokens", max: WireLimits.tokensMax
      ) { token, _ in token },
      stop: stop,
      promptTokens: try unsafe Checked.integer(message.prompt_tokens, "result.prompt_tokens"))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__GenerationResult> {
    let c = unsafe arena.make(comd__generation_result__init)
    unsafe c.pointee.text = arena.data(text)
    unsafe c.pointee.n_tokens = tokens.count
    unsafe c.pointee.tokens = arena.array(tokens)
    unsafe c.pointee.stop =
      switch stop {
      case .stopToken: COMD__STOP_REASON__STOP_TOKEN
      case .tokensMax: COMD__STOP_REASON__STOP_TOKENS_MAX
      case .contextFull: COMD__STOP_REASON__STOP_CONTEXT_FULL
      }
    unsafe c.pointee.prompt_tokens = UInt32(promptTokens)
    return unsafe c
  }
}

extension Assignment {
  init(_ message: Comd__Assignment) throws(ProtocolError) {
    self.init(
      job: try unsafe Checked.job(message.job, "assignment.job"),
      attempt: try unsafe Checked.integer(
        message.attempt, "assignment.attempt", in: 1...Int(UInt32.max)),
      address: try unsafe Checked.digest(message.address, "assignment.address"),
      request: try unsafe GenerationRequest(
        Checked.present(message.request, "assignment.request")))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__Assignment> {
    let c = unsafe arena.make(comd__assignment__init)
    unsafe c.pointee.job = UInt64(job.number)
    unsafe c.pointee.attempt = UInt32(attempt)
    unsafe c.pointee.address = arena.data(address.bytes)
    unsafe c.pointee.request = request.message(in: arena)
    return unsafe c
  }
}
