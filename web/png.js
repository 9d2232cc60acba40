// Writes a canvas as a PNG with its recipe, in the chunk that nstlib.read_recipe reads.
const KEY = "@RECIPE_KEY@";

let table;
const crc = (bytes) => {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });
  return ~bytes.reduce((c, byte) => table[(c ^ byte) & 255] ^ (c >>> 8), -1);
};

const chunk = (text) => {
  const body = new TextEncoder().encode(`iTXt${KEY}\0\0\0\0\0${text}`), bytes = new Uint8Array(body.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length - 4);
  bytes.set(body, 4);
  view.setInt32(body.length + 4, crc(body));
  return bytes;
};

export const toPng = async (canvas, recipe) => {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const HEAD = 33; // the signature and IHDR
  return new Blob([blob.slice(0, HEAD), chunk(JSON.stringify(recipe)), blob.slice(HEAD)], { type: "image/png" });
};
