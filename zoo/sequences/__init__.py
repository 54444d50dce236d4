"""Networks over time: the slides' RNN and LSTM step by step, and the layers that models are made of.

Read `slide_rnn.py` and `slide_lstm.py` first, then `layers.py`; `captioner.py` says what is in an image. Lecture rows
L71-L77.
"""

from zoo.sequences.captioner import Captioner
from zoo.sequences.checks import EmptySequenceError, steps_mask
from zoo.sequences.layers import GRU, LSTM, RNN, LSTMState
from zoo.sequences.pixel_rows import ColumnTagger, RowClassifier
from zoo.sequences.search import Sentences, beam_search, greedy_search
from zoo.sequences.slide_lstm import (
    LSTMTrace,
    SlideLSTM,
    SlideLSTMCarry,
    SlideLSTMParams,
    init_slide_lstm,
    slide_lstm,
    slide_lstm_step,
    slide_lstm_trace,
    zero_carry,
)
from zoo.sequences.slide_rnn import SlideRNN, SlideRNNParams, init_slide_rnn, slide_rnn, slide_rnn_step
from zoo.sequences.trace_plot import plot_trace
from zoo.sequences.unrolled import unrolled_rnn

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Captioner",
    "ColumnTagger",
    "EmptySequenceError",
    "LSTMState",
    "LSTMTrace",
    "RowClassifier",
    "Sentences",
    "SlideLSTM",
    "SlideLSTMCarry",
    "SlideLSTMParams",
    "SlideRNN",
    "SlideRNNParams",
    "beam_search",
    "greedy_search",
    "init_slide_lstm",
    "init_slide_rnn",
    "plot_trace",
    "slide_lstm",
    "slide_lstm_step",
    "slide_lstm_trace",
    "slide_rnn",
    "slide_rnn_step",
    "steps_mask",
    "unrolled_rnn",
    "zero_carry",
]
