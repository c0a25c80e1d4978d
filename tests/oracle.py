"""Every cell's equations as a float64 NumPy loop over rows and steps: slow, and obviously right.

Written from the table of equations, not from the library. Parameters and states are plain
dictionaries of arrays by field name; one row's state is a dictionary of vectors.
"""

import numpy as np

BLOCKS = {
    "rnn": "h",
    "lstm": "ifgo",
    "peephole_lstm": "ifgo",
    "coupled_lstm": "fgo",
    "gru": "rzn",
    "gru_reset_after": "rzn",
    "lstmp": "ifgo",
    "no_forget_lstm": "igo",
    "no_input_gate_lstm": "fgo",
    "no_output_gate_lstm": "ifg",
    "no_input_activation_lstm": "ifgo",
    "no_output_activation_lstm": "ifgo",
    "full_gate_recurrence_lstm": "ifgo",
    "layer_norm_lstm": "ifgo",
    "min_lstm": "fig",
    "min_gru": "zn",
    "conv_lstm": "ifgo",
}
WITHOUT_U = ("min_lstm", "min_gru")
WITHOUT_C = ("rnn", "gru", "gru_reset_after", "min_lstm", "min_gru")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x, scale, offset):
    return scale * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + offset


def positive(x):
    """The candidate of the log-space form: x + 1/2 where x >= 0, else sigmoid(x)."""
    return np.where(x >= 0, x + 0.5, sigmoid(x))


def convolve(x, kernel):
    """What each window of x [height, width, C] gives, zeros around it: [height, width, G·F]."""
    (height, width), (rows, columns) = x.shape[:2], kernel.shape[:2]
    z = np.zeros((height, width, kernel.shape[3]))
    for v, u, k, j in np.ndindex(height, width, rows, columns):
        y, w = v + k - (rows - 1) // 2, u + j - (columns - 1) // 2
        if 0 <= y < height and 0 <= w < width:
            z[v, u] += x[y, w] @ kernel[k, j]
    return z


def block_diagonal(kernel, blocks):
    """The matrix [K, G·H] that a kernel of heads [heads, K/heads, G·H/heads] stands for.

    Rows and columns of a head: its units, in every one of the G blocks. Zeros elsewhere.
    """
    heads, rows, columns = kernel.shape
    units = columns // blocks
    matrix = np.zeros((heads * rows, blocks, heads * units))
    for head, block in np.ndindex(heads, blocks):
        inward = slice(head * rows, (head + 1) * rows)
        outward = slice(head * units, (head + 1) * units)
        own = kernel[head, :, block * units : (block + 1) * units]
        matrix[inward, block, outward] = own
    return matrix.reshape(heads * rows, -1)


def product(x, kernel):
    return x @ kernel if kernel.ndim == 2 else convolve(x, kernel)


def hidden_size(name, params):
    return params["kernel"].shape[-1] // len(BLOCKS[name])


def fresh_state(name, params, space=()):
    """The state of one row at the start of a sequence and after a reset: zeros.

    `space` has the axes of a row's input but the last one.
    """
    size = hidden_size(name, params)
    output = params["projection"].shape[1] if "projection" in params else size
    state = {"h": np.zeros((*space, output))}
    if name not in WITHOUT_C:
        state["c"] = np.zeros((*space, size))
    if name == "full_gate_recurrence_lstm":
        state["gates"] = np.zeros(3 * size)
    return state


def by_letter(name, row):
    return dict(zip(BLOCKS[name], np.split(row, len(BLOCKS[name]), axis=-1), strict=True))


def step(name, params, state, x, options):
    """One step of one row: x [D] -> (new state, gates by block letter)."""
    if name not in WITHOUT_U and params["recurrent_kernel"].ndim == 3:
        whole = block_diagonal(params["recurrent_kernel"], len(BLOCKS[name]))
        params = {**params, "recurrent_kernel": whole}
    if name == "rnn":
        return rnn(params, state, x, options)
    if name in ("gru", "gru_reset_after"):
        return gru(name, params, state, x)
    if name in ("min_lstm", "min_gru"):
        return minimal(name, params, state, x, options)
    return lstm(name, params, state, x, options)


def rnn(params, state, x, options):
    z = x @ params["kernel"] + state["h"] @ params["recurrent_kernel"] + params.get("bias", 0)
    relu = options.get("activation") == "relu"
    h = np.maximum(z, 0) if relu else np.tanh(z)
    return {"h": h}, {"h": h}


def gru(name, params, state, x):
    h = state["h"]
    w = by_letter(name, x @ params["kernel"] + params.get("bias", 0))
    u = dict(zip("rzn", np.split(params["recurrent_kernel"], 3, axis=1), strict=True))
    r = sigmoid(w["r"] + h @ u["r"])
    z = sigmoid(w["z"] + h @ u["z"])
    if name == "gru":
        n = np.tanh(w["n"] + (r * h) @ u["n"])
        new = (1 - z) * h + z * n
    else:
        n = np.tanh(w["n"] + r * (h @ u["n"] + params.get("recurrent_bias", 0)))
        new = z * h + (1 - z) * n
    return {"h": new}, {"r": r, "z": z, "n": n}


def minimal(name, params, state, x, options):
    z = by_letter(name, x @ params["kernel"] + params.get("bias", 0))
    candidate = positive if options.get("log_space") else lambda value: value
    if name == "min_gru":
        update, n = sigmoid(z["z"]), candidate(z["n"])
        return {"h": (1 - update) * state["h"] + update * n}, {"z": update, "n": n}
    total = sigmoid(z["f"]) + sigmoid(z["i"])
    f, i, g = sigmoid(z["f"]) / total, sigmoid(z["i"]) / total, candidate(z["g"])
    return {"h": f * state["h"] + i * g}, {"f": f, "i": i, "g": g}


def lstm_blocks(name, params, state, x):
    """z of every block before peepholes."""
    from_input = product(x, params["kernel"])
    from_state = product(state["h"], params["recurrent_kernel"])
    if name == "layer_norm_lstm":
        from_input = layer_norm(from_input, params["input_scale"], params["input_offset"])
        from_state = layer_norm(from_state, params["recurrent_scale"], params["recurrent_offset"])
    z = by_letter(name, from_input + from_state + params.get("bias", 0))
    if name == "full_gate_recurrence_lstm":
        fed_back = np.split(state["gates"] @ params["gate_recurrent_kernel"], 3)
        for letter, value in zip("ifo", fed_back, strict=True):
            z[letter] = z[letter] + value
    return z


def peephole(name, params, letter, c):
    """What the gate `letter` sees of the cell state c."""
    if "peephole" not in params:
        return 0
    weight = params["peephole"][[k for k in "ifo" if k in BLOCKS[name]].index(letter)]
    return weight * c if weight.ndim == 1 else c @ weight


def squash_input(name, z, options):
    if name == "no_input_activation_lstm":
        return z
    return 4 * sigmoid(z) - 2 if options.get("activations") == "1997" else np.tanh(z)


def squash_output(name, params, c, options):
    if name == "no_output_activation_lstm":
        return c
    if name == "layer_norm_lstm":
        return np.tanh(layer_norm(c, params["cell_scale"], params["cell_offset"]))
    return 2 * sigmoid(c) - 1 if options.get("activations") == "1997" else np.tanh(c)


def lstm(name, params, state, x, options):
    old, z, gates = state["c"], lstm_blocks(name, params, state, x), {}
    for letter in "if":
        if letter in z:
            gates[letter] = sigmoid(z[letter] + peephole(name, params, letter, old))
    gates["g"] = squash_input(name, z["g"], options)
    f = gates.get("f", 1.0)
    i = 1 - f if name == "coupled_lstm" else gates.get("i", 1.0)
    c = f * old + i * gates["g"]
    if options.get("cell_clip") is not None:
        c = np.clip(c, -options["cell_clip"], options["cell_clip"])
    if "o" in z:
        gates["o"] = sigmoid(z["o"] + peephole(name, params, "o", c))
    h = gates.get("o", 1.0) * squash_output(name, params, c, options)
    new = {"h": h @ params["projection"] if name == "lstmp" else h, "c": c}
    if name == "full_gate_recurrence_lstm":
        new["gates"] = np.concatenate([gates[letter] for letter in "ifo"])
    return new, gates


def happening(shape, lengths=None, mask=None):
    """Which steps happen, [T, B]."""
    steps = np.ones(shape, bool) if mask is None else np.asarray(mask).copy()
    if lengths is not None:
        steps &= np.arange(shape[0])[:, None] < np.asarray(lengths)
    return steps


def run_row(name, params, xs, state, order, resets, options):
    """Processes the steps of one row in `order`; returns the state and {t: (h, state, gates)}."""
    record = {}
    for t in order:
        if resets[t]:
            state = fresh_state(name, params, xs.shape[1:-1])
        state, gates = step(name, params, state, xs[t], options)
        record[t] = {**gates, **state}
    return state, record


def unroll(name, params, xs, initial_state=None, lengths=None, mask=None, resets=None,
           reverse=False, options=None):
    """Runs xs [T, B, D]; steps that do not happen leave the state alone and output zero.

    Returns the final state {field: [B, ...]}, the outputs [T, B, ...] and everything that was
    computed on the way, {name: [T, B, ...]}, NaN at the steps that did not happen.
    """
    xs = np.asarray(xs, np.float64)
    happens = happening(xs.shape[:2], lengths, mask)
    resets = np.zeros(xs.shape[:2], bool) if resets is None else np.asarray(resets)
    finals, records = [], []
    for b in range(xs.shape[1]):
        state = fresh_state(name, params, xs.shape[2:-1])
        if initial_state is not None:
            state = {field: np.asarray(value[b]) for field, value in initial_state.items()}
        order = np.flatnonzero(happens[:, b])
        order = order[::-1] if reverse else order
        state, record = run_row(name, params, xs[:, b], state, order, resets[:, b], options or {})
        finals.append(state)
        records.append(record)
    final = {field: np.stack([state[field] for state in finals]) for field in finals[0]}
    trace = over_time(name, params, records, xs.shape)
    return final, np.nan_to_num(trace["h"]), trace


def over_time(name, params, records, shape):
    """The rows' records as arrays [T, B, ...]."""
    fresh = fresh_state(name, params, shape[2:-1])
    example_state, example_gates = step(name, params, fresh, np.zeros(shape[2:]), {})
    trace = {}
    for field, value in {**example_gates, **example_state}.items():
        trace[field] = np.full((*shape[:2], *value.shape), np.nan)
        for b, record in enumerate(records):
            for t, values in record.items():
                trace[field][t, b] = values[field]
    return trace


def segment_starts_backward(happens, resets):
    """Where the backward cell resets: where the next step that happens starts a segment."""
    backward = np.zeros_like(resets)
    for b in range(resets.shape[1]):
        order = np.flatnonzero(happens[:, b])
        backward[order[:-1], b] = resets[order[1:], b]
    return backward


def bidirectional(forward, backward, xs, initial_state=(None, None), lengths=None, mask=None,
                  resets=None):
    """`forward` and `backward` are (name, params, options); outputs side by side."""
    happens = happening(xs.shape[:2], lengths, mask)
    resets = np.zeros(xs.shape[:2], bool) if resets is None else np.asarray(resets)
    turned = segment_starts_backward(happens, resets)
    sides = []
    for side, (name, params, options) in enumerate((forward, backward)):
        sides.append(unroll(
            name, params, xs, initial_state[side], mask=happens,
            resets=turned if side else resets, reverse=bool(side), options=options,
        ))
    states = tuple(side[0] for side in sides)
    return states, np.concatenate([side[1] for side in sides], axis=-1)
