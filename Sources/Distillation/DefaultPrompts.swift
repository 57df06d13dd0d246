/// The text that a role has unless a user replaces it.
public func defaultPrompt(_ role: PromptRole) -> String {
  switch role {
  case .system:
    """
    A person shows a picture to an assistant and talks with it. The assistant looks at the picture \
    closely, says what can be seen or concluded from it, and answers helpfully and precisely.
    """
  case .judge:
    """
    {question}

    Two assistants were asked the above about this picture, and you are the referee. Compare their \
    answers with what the picture shows. Weigh how useful each is, how relevant to the question, \
    how accurate, and its level of detail. Longer is not better, and which answer comes first \
    means nothing.
    Give each answer one overall score from 1 (worst) to 10 (best). The first line of your reply \
    holds only two numbers with one space between them: the score of answer 1, then the score of \
    answer 2. From the second line on, explain your scores.

    [Answer 1]
    {answer_1}
    [End of answer 1]

    [Answer 2]
    {answer_2}
    [End of answer 2]
    """
  case .augmentor:
    """
    {question}

    The above was asked about this picture. Write one new question or instruction about the same \
    picture. It has to be of the same kind ({task}), at least as difficult, and about something \
    else than the one above. It must be possible to answer it from the picture. Reply with the \
    new question or instruction alone, on one line, without an answer.
    """
  case .captions:
    """
    Describe this picture in one sentence.
    What does the picture show?
    Say briefly what can be seen here.
    Give this picture a short caption.
    Sum up the picture in a few words.
    What is in this picture?
    Write down what you see, in short.
    Put the content of this picture into one sentence.
    """
  case .tasks:
    """
    conversation: a short question about what can be seen, such as things, their number, place, \
    colour or actions
    detail: a request to describe the picture, or a part of it, in detail
    complex: a question that can be answered only by reasoning in several steps from what is seen
    """
  }
}
