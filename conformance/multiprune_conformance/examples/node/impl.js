// Global pruning in JavaScript, from SPEC.md alone: profiles parity and deterministic.
// Judged by: python -m multiprune_conformance run --command "node impl.js"
'use strict';
const crypto = require('crypto');
const readline = require('readline');

class Refused extends Error {
  constructor(kind) { super(kind); this.kind = kind; }
}
const refuse = (kind) => { throw new Refused(kind); };

// --- Formats (NUM-02, NUM-04): every entry is a BigInt of its bits.
const FLOATS = {
  float64: [64, 52, 1023, 0x7ff0000000000001n], float32: [32, 23, 127, 0x7f800001n],
  bfloat16: [16, 7, 127, 0x7f81n], float16: [16, 10, 15, 0x7c01n],
  float8_e5m2: [8, 2, 15, 0x7dn], float8_e4m3fn: [8, 3, 7, 0x7fn],
  float8_e5m2fnuz: [8, 2, 16, 0x80n], float8_e4m3fnuz: [8, 3, 8, 0x80n],
};
const INTS = { int8: 8, int16: 16, int32: 32, int64: 64 };
const UINTS = { uint8: 8, uint16: 16, uint32: 32, uint64: 64 };
const COMPLEX = { complex64: 'float32', complex128: 'float64' };
const is8 = (t) => t.startsWith('float8');
const isInt = (t) => t in INTS || t in UINTS;

const word = new DataView(new ArrayBuffer(8));
const doubleBits = (x) => { word.setFloat64(0, x); return word.getBigUint64(0); };
const bitsDouble = (b) => { word.setBigUint64(0, b); return word.getFloat64(0); };
const floatBits = (x) => { word.setFloat32(0, x); return BigInt(word.getUint32(0)); };
const number = (x) => (typeof x === 'string' ? Number(x) : x);

// Bits of a float of any format as a double, exactly.
function decode(type, bits) {
  if (type === 'float64') return bitsDouble(bits);
  const [width, fraction, bias, nan] = FLOATS[type];
  const key = magnitude(type, bits);
  const sign = bits >> BigInt(width - 1) ? -1 : 1;
  if (key === nan) return NaN;
  if (key === nan - 1n && nan !== 0x7fn && nan !== 0x80n) return sign * Infinity;
  const m = Number(key & ((1n << BigInt(fraction)) - 1n));
  const e = Number(key >> BigInt(fraction));
  return sign * (e ? m + 2 ** fraction : m) * 2 ** (Math.max(e, 1) - bias - fraction);
}

// A double as bits of a format that holds floats exactly and rounds integers (TYPE-04, TYPE-05).
function encode(type, x) {
  if (type === 'float64') return doubleBits(x);
  const single = floatBits(x);
  if (type === 'float32') return single;
  if (type === 'bfloat16') {
    if (Number.isNaN(x)) return 0x7fc0n;
    return ((single + 0x7fffn + ((single >> 16n) & 1n)) >> 16n) & 0xffffn;
  }
  return half(Math.fround(x));
}

function half(x) { // float16, to nearest, ties to even
  if (Number.isNaN(x)) return 0x7e00n;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000n : 0n;
  const a = Math.abs(x);
  const exponent = Math.max(Math.floor(Math.log2(a || 2 ** -30)), -14);
  const scaled = a / 2 ** (exponent - 10); // exact: a power of two
  let whole = Math.floor(scaled);
  const rest = scaled - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2)) whole += 1;
  const bits = (exponent + 14) * 1024 + whole; // a carry runs into the exponent by itself
  return sign | BigInt(Math.min(bits, 0x7c00));
}

// --- Keys (NUM).
function magnitude(type, bits) {
  const [width, , , nan] = FLOATS[type];
  const sign = 1n << BigInt(width - 1);
  if (nan === 0x80n && bits === sign) return sign; // NUM-08
  const key = bits & (sign - 1n);
  return key > nan ? nan : key;
}

function key(type, entry, signed) {
  if (type in COMPLEX) return keyOfModulus(type, entry);
  if (type in UINTS) return entry;
  if (type in INTS) {
    const value = BigInt.asIntN(INTS[type], entry);
    return signed ? value + (1n << BigInt(INTS[type] - 1)) : value < 0n ? -value : value;
  }
  const plain = magnitude(type, entry);
  if (!signed) return plain;
  const [width, , , nan] = FLOATS[type];
  const zero = 1n << BigInt(width - 1);
  return (entry & zero) && plain !== nan ? zero - plain : zero + plain; // NUM-14
}

function keyOfModulus(type, [re, im]) { // NUM-11
  const modulus = Math.hypot(re, im);
  return type === 'complex64' ? magnitude('float32', floatBits(modulus))
    : magnitude('float64', doubleBits(modulus));
}

// --- Promotion (TYPE).
function promote(types) {
  const set = [...new Set(types)];
  for (const t of set) if (!(t in FLOATS || isInt(t) || t in COMPLEX)) refuse('dtype');
  const ints = set.filter(isInt);
  const complexes = set.filter((t) => t in COMPLEX);
  const eights = set.filter(is8);
  const floats = set.filter((t) => t in FLOATS && !is8(t));
  const wide = ints.filter((t) => t in UINTS && t !== 'uint8');
  if (wide.length && (ints.length > 1 || complexes.length)) refuse('dtype'); // TYPE-07
  if (eights.length && ints.length) refuse('dtype');
  if (complexes.length) {
    return set.includes('complex128') || set.includes('float64') ? 'complex128' : 'complex64';
  }
  if (floats.length === 1) return floats[0];
  if (floats.length) return floats.includes('float64') ? 'float64' : 'float32';
  if (eights.length) return eights.length === 1 ? eights[0] : 'float32';
  if (ints.length === 1) return ints[0];
  const top = ints.filter((t) => t in INTS).sort((a, b) => INTS[b] - INTS[a])[0];
  return ints.includes('uint8') && top === 'int8' ? 'int16' : top; // TYPE-02
}

function convert(type, entry, to) {
  if (type === to) return entry;
  if (to in COMPLEX) {
    if (type in COMPLEX) return entry;
    const real = type in FLOATS ? decode(type, entry) : Number(integer(type, entry));
    return [to === 'complex64' ? Math.fround(real) : real, 0];
  }
  if (to in FLOATS) {
    if (type in FLOATS) return encode(to, decode(type, entry));
    return encode(to, to === 'float64' ? Number(integer(type, entry)) : single(integer(type, entry)));
  }
  return BigInt.asUintN(INTS[to] || UINTS[to], integer(type, entry));
}

const integer = (type, entry) => (type in INTS ? BigInt.asIntN(INTS[type], entry) : entry);

// A BigInt rounded once to float32: Number() alone would round to float64 first.
function single(value) {
  const a = value < 0n ? -value : value;
  const drop = BigInt(Math.max(a.toString(2).length - 24, 0));
  let kept = a >> drop;
  const rest = a - (kept << drop);
  const middle = drop ? 1n << (drop - 1n) : 1n;
  if (drop && (rest > middle || (rest === middle && kept & 1n))) kept += 1n;
  return Number(kept << drop) * (value < 0n ? -1 : 1);
}

// --- Reading arrays, masks, amounts (PROTOCOL.md 2).
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

function* lcg({ start, shift, mask }, size) {
  const keep = BigInt('0x' + mask);
  for (let i = 0, s = start; i < size; i += 1) {
    s = (Math.imul(1664525, s) + 1013904223) >>> 0;
    yield BigInt(s >>> shift) & keep;
  }
}

function readArray({ dtype, shape, data, bits, lcg: rule }) {
  if (!(dtype in FLOATS || isInt(dtype) || dtype in COMPLEX)) refuse('dtype');
  if (rule) return { dtype, shape, entries: [...lcg(rule, sizeOf(shape))] };
  if (bits) return { dtype, shape, entries: bits.map((b) => BigInt('0x' + b)) };
  if (dtype in COMPLEX) return { dtype, shape, entries: data.map((p) => p.map(number)) };
  if (dtype in FLOATS) return { dtype, shape, entries: data.map((x) => encode(dtype, number(x))) };
  return { dtype, shape, entries: data.map((x) => BigInt.asUintN(INTS[dtype] || UINTS[dtype], BigInt(x))) };
}

function readMask(mask, shape) {
  if (!mask) return new Array(sizeOf(shape)).fill(1);
  if (JSON.stringify(mask.shape) !== JSON.stringify(shape)) refuse('mask-shape');
  const data = mask.lcg ? [...lcg(mask.lcg, sizeOf(shape))].map(Number) : mask.data;
  if (data.some((x) => x !== 0 && x !== 1)) refuse('mask-values');
  return data;
}

function readAmount({ kind, value }) { // returns {whole: BigInt} or {part: Number}
  if (kind === 'int') return { whole: BigInt(value) };
  if (kind === 'float') return { part: number(value) };
  if (kind === 'float32' || kind === 'float16') return { part: decode(kind, BigInt('0x' + value)) };
  if (kind === 'fraction') return { part: value[0] / value[1] };
  return refuse('amount-type');
}

// --- Amounts (AMT).
function halfEven(x) {
  const down = Math.floor(x);
  const rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

function count({ amount, sparsity }, live, total) {
  if ((amount === undefined) === (sparsity === undefined)) refuse('amount-type'); // AMT-16
  const { whole, part } = readAmount(amount || sparsity);
  if (whole !== undefined) {
    if (sparsity) refuse('amount-type'); // AMT-15
    if (whole < 0n) refuse('amount-out-of-range');
    if (whole > BigInt(live)) refuse('amount-too-large');
    return Number(whole);
  }
  if (!(part >= 0 && part <= 1)) refuse('amount-out-of-range');
  if (amount) return halfEven(part * live);
  const more = halfEven(part * total) - (total - live);
  return more < 0 ? refuse('sparsity-below-current') : more;
}

// --- The order (RANK, TIE).
function byCodePoint(a, b) {
  const [x, y] = [[...a], [...b]].map((s) => s.map((c) => c.codePointAt(0)));
  for (let i = 0; i < Math.min(x.length, y.length); i += 1) if (x[i] !== y[i]) return x[i] - y[i];
  return x.length - y.length;
}

function rank(request) {
  const { tensors, scores, signed } = request;
  if (!tensors.length) refuse('parameters-empty');
  const order = tensors.map((_, i) => i);
  if (tensors.every((t) => 'name' in t)) {
    order.sort((i, j) => byCodePoint(tensors[i].name, tensors[j].name)); // TIE-04
  }
  if (scores) {
    const [names, given] = [tensors.map((t) => t.name).sort(), Object.keys(scores).sort()];
    if (JSON.stringify(names) !== JSON.stringify(given)) refuse('scores-keys');
    for (const t of tensors) {
      if (JSON.stringify(scores[t.name].shape) !== JSON.stringify(t.shape)) refuse('scores-shape');
    }
  }
  const arrays = order.map((i) => readArray(scores ? scores[tensors[i].name] : tensors[i]));
  const live = order.map((i) => readMask(tensors[i].mask, tensors[i].shape)).flat();
  const common = promote(arrays.map((a) => a.dtype));
  if (signed && common in COMPLEX) refuse('dtype'); // NUM-16
  const keys = arrays.flatMap((a) => a.entries.map((e) => key(common, convert(a.dtype, e, common), signed)));
  const ranked = keys.map((_, p) => p).filter((p) => live[p]);
  ranked.sort((p, q) => (keys[p] < keys[q] ? -1 : keys[p] > keys[q] ? 1 : p - q)); // TIE-01
  const k = count(request, ranked.length, keys.length);
  return { order, keys, live, ranked, gone: ranked.slice(0, k) };
}

const TYPES = { l1_unstructured: 1, identity: 1, random_unstructured: 1, custom_from_mask: 0,
  ln_structured: 0, random_structured: 0 };

function prune(request) {
  const method = request.method || 'l1_unstructured';
  if (!TYPES[method]) refuse('pruning-type'); // METH-02
  const { order, live, gone } = rank(method === 'identity'
    ? { ...request, amount: { kind: 'int', value: 0 } } : request);
  const kept = [...live];
  for (const p of gone) kept[p] = 0;
  const masks = [];
  let start = 0;
  for (const i of order) {
    const { shape } = request.tensors[i];
    masks[i] = { shape, data: kept.slice(start, start + sizeOf(shape)) };
    start += sizeOf(shape);
  }
  return { masks };
}

function cut(request) { // RANK-06, RANK-07
  const { keys, live, gone } = rank(request);
  if (!gone.length) return { threshold: '-1', position: -1 };
  const last = gone[gone.length - 1];
  const tied = keys.filter((x, p) => live[p] && x === keys[last]).length;
  const went = gone.filter((p) => keys[p] === keys[last]).length;
  return { threshold: keys[last].toString(16), position: went === tied ? keys.length - 1 : last };
}

// --- Channels (METH-05 to METH-11).
function norm(values, n) {
  const a = values.map(Math.abs);
  if (n === 'fro') return norm(values, 2);
  if (n === 'Infinity') return Math.max(...a);
  if (n === '-Infinity') return Math.min(...a);
  if (typeof n !== 'number') return refuse('norm'); // METH-11
  if (n === 0) return a.filter(Boolean).length;
  return a.reduce((sum, x) => sum + x ** n, 0) ** (1 / n);
}

function structured(request) {
  const { shape, n } = request;
  if (request.method === 'custom_from_mask') { // METH-04
    const [prior, given] = [readMask(request.mask, shape), readMask(request.custom, shape)];
    return { masks: [{ shape, data: prior.map((bit, p) => bit * given[p]) }] };
  }
  if (shape.length < 2) refuse('not-structured');
  const dim = request.dim < 0 ? request.dim + shape.length : request.dim;
  if (dim < 0 || dim >= shape.length) refuse('dim');
  if (n === 'nuc' && shape.length === 3) return { skipped: 'no singular values here' };
  const { dtype, entries } = readArray(request);
  const live = readMask(request.mask, shape);
  const inner = sizeOf(shape.slice(dim + 1));
  const channelOf = (p) => Math.floor(p / inner) % shape[dim];
  const value = (p) => (!live[p] ? 0 : dtype in FLOATS ? decode(dtype, entries[p]) : Number(integer(dtype, entries[p])));
  const members = Array.from({ length: shape[dim] }, () => []);
  entries.forEach((_, p) => members[channelOf(p)].push(p));
  const norms = members.map((list) => norm(list.map(value), n));
  const left = members.map((_, c) => c).filter((c) => members[c].some((p) => live[p])); // METH-06
  left.sort((c, d) => norms[c] - norms[d] || c - d); // METH-07
  const gone = new Set(left.slice(0, count(request, left.length)));
  return { masks: [{ shape, data: live.map((bit, p) => (gone.has(channelOf(p)) ? 0 : bit)) }] };
}

// --- Packed masks (FILE).
function packed(data) {
  const bytes = Buffer.alloc(Math.ceil(data.length / 8));
  data.forEach((bit, i) => { bytes[i >> 3] |= bit << (i & 7); });
  return bytes;
}

function digest(named) {
  const hash = crypto.createHash('sha256');
  const integer64 = (x) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(x)); return b; };
  for (const { name, shape, data } of [...named].sort((a, b) => byCodePoint(a.name, b.name))) {
    const text = Buffer.from(name, 'utf8');
    hash.update(Buffer.concat([integer64(text.length), text, ...[shape.length, ...shape].map(integer64), packed(data)]));
  }
  return hash.digest('hex');
}

function readMasks({ file }) { // FILE-04 to FILE-06
  const bytes = Buffer.from(file, 'hex');
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  let header; let shapes; let meta;
  try {
    header = JSON.parse(bytes.subarray(8, start).toString('utf8'));
    meta = header.__metadata__;
    delete header.__metadata__;
    shapes = JSON.parse(meta.shapes);
  } catch { refuse('mask-file'); }
  const names = Object.keys(header).sort();
  if (meta.format !== 'multiprune-masks' || meta.version !== '1'
    || JSON.stringify(names) !== JSON.stringify(Object.keys(shapes).sort())) refuse('mask-file');
  const masks = names.map((name) => {
    const [from, to] = header[name].data_offsets;
    const part = bytes.subarray(start + from, start + to);
    if (!shapes[name].every((n) => Number.isInteger(n) && n >= 0)) refuse('mask-file');
    const size = sizeOf(shapes[name]);
    if (header[name].dtype !== 'U8' || part.length !== Math.ceil(size / 8) || to - from !== part.length) refuse('mask-file');
    const data = Array.from({ length: size }, (_, i) => (part[i >> 3] >> (i & 7)) & 1);
    if (!packed(data).equals(part)) refuse('mask-file');
    return { name, shape: shapes[name], data };
  });
  if (digest(masks) !== meta.sha256) refuse('mask-file');
  return { named: Object.fromEntries(masks.map(({ name, shape, data }) => [name, { shape, data }])) };
}

// --- The door (PROTOCOL.md 5).
const OPERATIONS = {
  prune, cut, structured,
  count: (request) => ({ count: count(request, request.live, request.total) }),
  promote: ({ dtypes }) => ({ dtype: promote(dtypes) }),
  pack: (request) => {
    const masks = request.masks.map((m) => ({ ...m, data: readMask(m, m.shape) }));
    return { packed: masks.map((m) => packed(m.data).toString('hex')), digest: digest(masks) };
  },
  read_masks: readMasks,
};
const DESCRIPTION = {
  protocol: 1,
  implementation: { name: 'impl.js', version: '1', language: 'javascript' },
  profiles: ['parity', 'deterministic'],
  dtypes: [...Object.keys(FLOATS), ...Object.keys(INTS), ...Object.keys(UINTS), ...Object.keys(COMPLEX)],
  operations: Object.keys(OPERATIONS),
};

function answer({ seq, operation, input }) {
  try {
    return { seq, ...OPERATIONS[operation](input) };
  } catch (error) {
    if (error instanceof Refused) return { seq, error: error.kind };
    throw error;
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.stop) process.exit(0);
  console.log(JSON.stringify(message.start ? DESCRIPTION : answer(message.run)));
});
