import Settings

/// The example of the project's manual.
let example = """
  run: demo
  coordinator:
    { control: "tcp://0.0.0.0:7700", bulk: "tcp://0.0.0.0:7701", dashboard: "127.0.0.1:7780" }
  models:
    teacher: { path: models/llava-13b, conversation: vicuna_v1, precision: bf16 }
    student: { path: models/vicuna-7b-clip, conversation: vicuna_v1, precision: bf16 }
  data:
    instructions: data/llava_instruct_80k.json
    images: data/coco/train2017
    captions: data/blip_captions.json
  method: { iterations: 4, threshold: 0.33, rouge_l_max: 0.7, temperature: 0.5,
            judge_attempts: 3, seed: 1 }
  pretrain: { batch: 16, learning_rate: 2e-3, warmup_ratio: 0.03, epochs: 1 }
  tune:     { batch: 16, learning_rate: 2e-5, warmup_ratio: 0.03, epochs: 1,
              virtual_ranks: 16, checkpoint_every: 50 }
  evaluate: [ { name: scienceqa, path: data/scienceqa } ]
  """

/// The least that a file must say, in lines 1 to 6; what a test adds begins at line 7.
let least = """
  models:
    teacher: { path: t }
    student: { path: s }
  data:
    instructions: i.json
    images: pictures

  """

/// What is wrong with a text, or nothing.
func problems(_ text: String, inputs: ClusterSettings.Inputs = .unchecked) -> [SettingsProblem] {
  do throws(SettingsError) {
    _ = try ClusterSettings.parse(text, file: "/there/cluster.yaml", inputs: inputs)
    return []
  } catch {
    return error.problems
  }
}

/// What is wrong with what is added to the least file.
func problems(adding text: String) -> [SettingsProblem] { problems(least + text) }
