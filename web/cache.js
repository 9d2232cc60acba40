// Fetches large files once and caches them for use without a network. Every build has a new name of the cache.
export const CACHE = "nstlib-@BUILD@";

export const cached = async (path) => {
  const url = new URL(path, import.meta.url), store = await self.caches?.open(CACHE).catch(() => null);
  let answer = await store?.match(url);
  if (!answer) {
    answer = await fetch(url);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    await store?.put(url, answer.clone()).catch(() => {}); // if the disk is full, the page works without the cache
  }
  return answer.arrayBuffer();
};

// Decompresses a file. The build compresses it, because not every host compresses what it sends.
export const inflated = async (path) => {
  const stream = new Blob([await cached(path)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
};
