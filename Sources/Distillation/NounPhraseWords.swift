// The word lists of the noun-phrase rule. English, chosen for captions of photographs.

let determiners: Set<String> = words(
  """
  a an the this that these those my your his her its our their some any each every no another
  other both all several many few much more most such either neither one two three four five six
  seven eight nine ten various multiple numerous
  """)

let closedClass: Set<String> = words(
  """
  i you he she it we they me him us them himself herself itself themselves who whom whose which
  what there here something someone anything nothing everyone about above across after against
  along alongside among amongst amid around as at atop away back before behind below beneath
  beside besides between beyond by close despite down during except for forward from in inside
  into like near next of off on onto out outside over past per through throughout to toward
  towards under underneath until up upon upside via while with within without together apart aside
  ahead and or but nor so yet if because although though than then when where whereas how why
  whether not is am are was were be been being has have had having do does did done doing will
  would can could may might must shall should very too also just only even still already again
  always never often almost quite rather really apparently currently well it's they're he's she's
  """)

/// Verbs of captions in the forms that neither -ing nor -ed gives away.
let verbs: Set<String> = words(
  """
  appear appears ate attempt attempts bends bites blow blows bring brings build builds carries
  carry catch catches caught celebrates chase chases chew chews climb climbs come comes cook cooks
  cover covers cross crosses cut cuts dance dances dig digs dive dives draws drink drinks drive
  drives eat eats enjoy enjoys enter enters examines face faces fall falls fight fights fill fills
  flies fly follow follows get gets give gives go goes hang hangs has held help helps hit hits
  hold holds hug hugs hung is jump jumps keep keeps kick kicks kiss kisses lay lays lead leads
  lean leans leap leaps leave leaves lick licks lie lies lift lifts listen listens look looks made
  make makes move moves observes open opens paint paints perform performs pet pets pick picks play
  plays point points pose poses prepare prepares pull pulls push pushes put puts race races raise
  raises ran reach reaches read reads relax relaxes rest rests ride rides run runs sat say says
  see sees sell sells sets shake shakes shoot shoots shown shows sing sings sit sits skate
  skateboards skates skis sleep sleeps slide slides smile smiles smoke smokes sniffs speak speaks
  splash splashes spray sprays stand stands stare stares stood stretch stretches surf surfs
  surround surrounds swim swims swings take taken takes talk talks taste throw throws touch
  touches travels tries try turn turns use uses wade wades wait waits walk walks want wants wash
  washes watch watches wear wears work works worn write writes
  """)

/// Nouns and adjectives that end like participles.
let nounsLikeParticiples: Set<String> = words(
  """
  building buildings ceiling clothing painting drawing evening morning railing wedding string
  spring swing wing king ring thing crossing parking landing opening awning lightning sibling
  dwelling bedding siding boating camping clearing wading carving covering red bed shed sled weed
  seed breed hundred naked tired wicked
  """)

private func words(_ text: String) -> Set<String> {
  Set(text.split(whereSeparator: \.isWhitespace).map(String.init))
}
