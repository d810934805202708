// Rows of a log, in pieces of one length; the pieces that are far from what was asked for last are let go.
const PIECE = 512;
const KEPT = 24;

export class Store {
  #pieces = new Map();
  #asked = new Map();
  // Called when the log has grown or ended.
  changed = () => {};
  // Called when rows have come.
  came = () => {};

  constructor({ base, query, rows, bytes, ended, endUnknown }) {
    this.base = base;
    this.query = query;
    this.rows = Number(rows);
    this.bytes = Number(bytes);
    this.ended = ended === 'true';
    this.endUnknown = endUnknown === 'true';
  }

  address(what, more) {
    return `${this.base}/${what}?${this.query}&${more}`;
  }

  // A row that is there, or undefined while it is asked for.
  row(number) {
    const piece = this.#pieces.get(Math.floor(number / PIECE));
    return piece?.rows[number % PIECE];
  }

  // Asks for what is missing of some rows.
  want(first, last) {
    if (this.rows === 0) return;
    const end = Math.floor(Math.min(last, this.rows - 1) / PIECE);
    for (let at = Math.floor(Math.max(first, 0) / PIECE); at <= end; at += 1) {
      const whole = Math.min(PIECE, this.rows - at * PIECE);
      const piece = this.#pieces.get(at);
      if (!piece || piece.rows.length < whole || piece.stale) this.#ask(at);
    }
    this.#forget(Math.floor(first / PIECE));
  }

  // The log is so long by now.
  tell({ rows, bytes, ended, endUnknown = false }) {
    if (rows === this.rows && bytes === this.bytes && ended === this.ended) return;
    // What was the last row may have gone on.
    const last = this.#pieces.get(Math.floor((this.rows - 1) / PIECE));
    if (last && bytes !== this.bytes) last.stale = true;
    this.rows = Math.max(rows, this.rows);
    this.bytes = Math.max(bytes, this.bytes);
    this.ended ||= ended;
    this.endUnknown ||= endUnknown;
    this.changed();
  }

  async #ask(at) {
    if (this.#asked.has(at)) return;
    this.#asked.set(at, true);
    const piece = this.#pieces.get(at) ?? { rows: [], stale: false };
    // All but the last row stay as they are.
    const kept = piece.stale ? Math.max(piece.rows.length - 1, 0) : piece.rows.length;
    const from = at * PIECE + kept;
    piece.stale = false;
    let told;
    try {
      const answer = await fetch(this.address('rows', `from=${from}&count=${PIECE - kept}`));
      if (!answer.ok) throw new Error(String(answer.status));
      told = await answer.json();
      piece.rows.splice(kept, piece.rows.length, ...told.lines);
      this.#pieces.set(at, piece);
    } catch {
      piece.stale = true;
      await new Promise((done) => setTimeout(done, 2_000));
    }
    this.#asked.delete(at);
    // Before it is drawn: what is drawn asks for what is still missing.
    if (told) this.tell(told);
    this.came();
  }

  #forget(near) {
    if (this.#pieces.size <= KEPT) return;
    const far = [...this.#pieces.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
    for (const at of far.slice(0, this.#pieces.size - KEPT)) this.#pieces.delete(at);
  }
}
