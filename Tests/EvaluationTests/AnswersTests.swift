import Datasets
import Evaluation
import Testing

@Suite("A short answer")
struct NormalisationTests {
  @Test(
    "is compared without case, articles, punctuation and number words",
    arguments: [
      ("A dog.", "dog"), ("The  RED ball!", "red ball"), ("three", "3"), ("Three dogs", "3 dogs"),
      ("top-left", "top left"), ("it's", "its"), ("3.5", "3.5"), ("-3", "-3"), ("1-3", "1 3"),
      ("", ""), ("the", ""), ("Ça va?", "ça va"), ("yes, it is", "yes it is"),
    ])
  func forms(answer: String, form: String) {
    #expect(normalised(answer) == form)
  }

  @Test("is right when both forms are one, and wrong otherwise")
  func correct() {
    #expect(isCorrect("A Dog.", for: .exact("dog")) == true)
    #expect(isCorrect("two", for: .exact("2")) == true)
    #expect(isCorrect("", for: .exact("dog")) == false)
    #expect(isCorrect("dogs", for: .exact("dog")) == false)
    #expect(isCorrect("35", for: .exact("3.5")) == false)
    #expect(isCorrect("anything", for: .reference("anything")) == nil)
  }
}

@Suite("An answer to lettered choices")
struct LetterTests {
  let choices = ["a red dog", "the cat", "both"]

  @Test(
    "names its letter in one of the known forms",
    arguments: [
      ("B", "B"), (" b.\n", "B"), ("(C)", "C"), ("B. the cat", "B"), ("B) the cat", "B"),
      ("(A) because", "A"), ("A: red", "A"),
      ("Dogs bark. The answer is A.", "A"), ("the answer is (B) the cat", "B"),
      ("Answer: C", "C"), ("Answer: **C**", "C"), ("So the answer is: B", "B"),
      ("The answer is A. As I said, the answer is A.", "A"),
      ("The cat.", "B"), ("red dog", "A"),
    ])
  func named(answer: String, letter: String) {
    #expect(chosenLetter(in: answer, choices: choices) == letter)
  }

  @Test(
    "names none when it is of another form, ambiguous, or beyond the choices",
    arguments: [
      "", "D", "D. a bird", "The answer is D.", "a cat and a dog",
      "The answer is A. No, the answer is B.", "A red dog and the cat", "The answer is unclear.",
      "Both are possible",
    ])
  func unnamed(answer: String) {
    #expect(chosenLetter(in: answer, choices: choices) == nil)
  }

  @Test("may be any letter where the choices are not known")
  func unknownChoices() {
    #expect(chosenLetter(in: "E", choices: []) == "E")
  }
}
