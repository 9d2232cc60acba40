// Large files: fetched once, kept for visits without a network. The name of the cache changes with every build.
export const CACHE = "nstlib-@BUILD@";

export const cached = async (path) => {
  const url = new URL(path, import.meta.url), store = await self.caches?.open(CACHE).catch(() => null);
  let answer = await store?.match(url);
  if (!answer) {
    answer = await fetch(url);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    await store?.put(url, answer.clone()).catch(() => {}); // a full disk: it works without
  }
  return answer.arrayBuffer();
};

// A file that the build has compressed, so that every host transfers it small.
export const inflated = async (path) => {
  const stream = new Blob([await cached(path)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
};
