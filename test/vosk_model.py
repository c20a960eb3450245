"""
Write a Vosk model of some 40 kB that hears loud from quiet, for tests.

Run as ``python test/vosk_model.py FOLDER``. The real library loads it and gives partial and
final results with word times: a second of loud noise between quiet ones is one word, ``loud``.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

WORD = 'loud'
QUIET, LOUD = 1, 2     # phones; pdf of each is one less
LEVEL = 17             # log energy between that of quiet and of loud 16 bit noise
SWITCH_COST = 12.0     # without it the word comes again in every frame

MFCC_CONF = """\
--sample-frequency=16000
--use-energy=true
--num-mel-bins=23
--num-ceps=13
"""

# Vosk multiplies frame numbers by 0.03 s, so any other subsampling would give wrong times.
MODEL_CONF = """\
--min-active=2
--max-active=100
--beam=20
--lattice-beam=2
--acoustic-scale=1.0
--frame-subsampling-factor=3
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
"""

TRANSITIONS = """\
<TransitionModel>
<Topology>
<TopologyEntry>
<ForPhones>
1 2
</ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.5 </State>
<State> 1 </State>
</TopologyEntry>
</Topology>
<Triples> 2
1 0 0
2 0 1
</Triples>
<LogProbs>
 [ 0 -0.6931472 -0.6931472 -0.6931472 -0.6931472 ]
</LogProbs>
</TransitionModel>
"""

NETWORK = """\
<Nnet3>

input-node name=input dim=13
component-node name=affine component=affine input=input
output-node name=output input=affine objective=linear

<NumComponents> 1
<ComponentName> affine <AffineComponent> <LearningRate> 0.001 <LinearParams>  [
  {quiet}
  {loud} ]
<BiasParams>  [ 0 {bias} ]
</AffineComponent> </Nnet3>
<LeftContext> 0 <RightContext> 0 <Priors>  [ ]
"""


def write_model(folder: Path) -> Path:
    """Write the model into ``folder`` and return it."""
    for name in ('am', 'conf', 'graph/phones'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    zeros = ' '.join(12 * ['0'])
    network = NETWORK.format(quiet=f'0 {zeros}', loud=f'2 {zeros}', bias=-2 * LEVEL)
    (folder / 'am/final.mdl').write_text(TRANSITIONS + network)
    (folder / 'conf/mfcc.conf').write_text(MFCC_CONF)
    (folder / 'conf/model.conf').write_text(MODEL_CONF)
    (folder / 'graph/words.txt').write_text(f'<eps> 0\n{WORD} 1\n')
    (folder / 'graph/phones/word_boundary.int').write_text(
        f'{QUIET} nonword\n{LOUD} singleton\n')
    (folder / 'graph/HCLG.fst').write_bytes(decoding_graph())
    return folder


def decoding_graph() -> bytes:
    """
    Return the graph in OpenFst's binary vector form.

    Kaldi's reordered shape: the transition out of a phone's state, then its self-loops. Labels
    in are transition ids: 1 (loop) and 2 (out) of the quiet phone, 3 and 4 of the loud one.
    """
    never = float('inf')
    states: list[tuple[float, list[tuple[int, int, float, int]]]] = [
        (never, [(2, 0, 0.0, 1), (4, 1, SWITCH_COST, 2)]),
        (0.0, [(1, 0, 0.0, 1), (4, 1, SWITCH_COST, 2)]),
        (0.0, [(3, 0, 0.0, 2), (2, 0, SWITCH_COST, 1)]),
    ]
    arcs = sum(len(out) for _, out in states)
    data = struct.pack('<i', 2125659606)
    for text in (b'vector', b'standard'):
        data += struct.pack('<i', len(text)) + text
    data += struct.pack('<iiQqqq', 2, 0, 3, 0, len(states), arcs)
    for final, out in states:
        data += struct.pack('<fq', final, len(out))
        data += b''.join(struct.pack('<iifi', *arc) for arc in out)
    return data


if __name__ == '__main__':
    print(write_model(Path(sys.argv[1])))
