import Distillation
import Domain
import Hashing
import Scheduling
import Settings

extension RunSettings {
  /// What the decisions need to know of `cluster.yaml`.
  init(_ settings: ClusterSettings, kernelSet: String?) throws {
    let temperature = settings.method.temperature
    func role(_ tokensMax: Int) -> RoleSampling {
      RoleSampling(temperature: temperature, tokensMax: tokensMax)
    }
    var timing = Timing()
    timing.heartbeatEvery = settings.timing.heartbeat
    timing.suspectAfter = settings.timing.suspectAfter
    timing.goneAfter = settings.timing.goneAfter
    timing.leaseDuration = settings.timing.lease
    timing.firstStepPatience = settings.timing.firstStep
    self.init(
      run: settings.run, method: settings.method, prompts: try settings.loadPrompts(),
      teacherTemplate: settings.models.teacher.conversation,
      studentTemplate: settings.models.student.conversation,
      teacher: role(settings.tokensMax.answer), student: role(settings.tokensMax.answer),
      judge: role(settings.tokensMax.judge), augmentor: role(settings.tokensMax.instruction),
      pretrain: settings.pretrain, tune: settings.tune, kernelSet: kernelSet, timing: timing)
    teacherPrecision = settings.models.teacher.precision
    studentPrecision = settings.models.student.precision
  }
}

extension ClusterSettings {
  /// Changes when anything changes that the run's results depend on: not names, ports or patience.
  var methodDigest: Digest {
    let parts: [Any] = [
      models, data, method, tokensMax, pretrain, tune, nounPhrases, prompts as Any, evaluate,
    ]
    return Digest(hashing: parts.map { String(describing: $0) }.joined(separator: "\n").utf8)
  }
}
