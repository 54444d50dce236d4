"""The catalog's rows of the chapter `zoo.sequences`."""

from zoo.catalog.entry import Entry

ELMAN_1990 = "Elman, 1990, Finding Structure in Time"
HOCHREITER_1997 = "Hochreiter and Schmidhuber, 1997, Long Short-Term Memory"
CHO_2014 = "Cho et al., 2014, Learning Phrase Representations using RNN Encoder-Decoder"
GRAVES_2005 = "Graves and Schmidhuber, 2005, Framewise Phoneme Classification with Bidirectional LSTM"

_ROWS, _COLUMNS = "zoo.sequences.pixel_rows:RowClassifier", "zoo.sequences.pixel_rows:ColumnTagger"
_IMAGE, _LINE = (28, 28, 1), (8, 48, 1)


def _rows(name: str, cell: str, paper: str, lecture: str, **options: object) -> Entry:
    return Entry(name, _ROWS, "classification", _IMAGE, paper, lecture, {"cell": cell, **options})


ENTRIES = (
    _rows("slide_rnn_rows", "slide_rnn", ELMAN_1990, "L71, L74"),
    _rows("slide_lstm_rows", "slide_lstm", HOCHREITER_1997, "L75, L76"),
    _rows("rnn_rows", "rnn", ELMAN_1990, "L71"),
    _rows("lstm_rows", "lstm", HOCHREITER_1997, "L75"),
    _rows("gru_rows", "gru", CHO_2014, "L75"),
    _rows("lstm_rows_tiny", "lstm", HOCHREITER_1997, "L75", hidden_size=8, num_layers=2, bidirectional=True),
    Entry(
        "lstm_columns",
        _COLUMNS,
        "tagging",
        _LINE,
        GRAVES_2005,
        "L71, L75",
        {"cell": "lstm", "hidden_size": 64, "bidirectional": True},
    ),
    Entry(
        "lstm_columns_tiny",
        _COLUMNS,
        "tagging",
        _LINE,
        GRAVES_2005,
        "L71, L75",
        {"cell": "lstm", "hidden_size": 8, "bidirectional": True},
    ),
)
