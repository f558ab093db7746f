// Keeps the videos beside the view in step with the frame that is marked, both ways.

function makePlayer({ ids, root, onFrame, onPlaying }) {
  let times = [], known = new Set(), timer = null, quiet = 0, frame = 0;

  const videos = () => ids.map((id) => root.querySelector(`#${CSS.escape(id)} video, video#${CSS.escape(id)}`)).filter(Boolean);
  const ready = () => videos().filter((video) => video.duration > 0 && video.offsetParent !== null);

  // A frame is sought in its middle, so that rounding never shows its neighbour.
  function seconds(index) {
    const next = times[index + 1] ?? times[index] + (times.length > 1 ? times[index] - times[index - 1] : 0.04);
    return times[index] + 0.5 * (next - times[index]);
  }

  function seek(index, except = null) {
    frame = index;
    quiet = performance.now() + 350;
    for (const video of ready()) {
      if (video === except) continue;
      const target = Math.min(video.duration - 1e-3, seconds(index));
      if (Math.abs(video.currentTime - target) > 1e-4) video.currentTime = target;
    }
  }

  function heard(video, time) {
    if (!times.length) return;
    const index = Math.min(times.length - 1, indexAt(times, time + 1e-4));
    const playing = !video.paused && !video.ended;
    if (!playing && performance.now() < quiet) return;
    if (index === frame) return;
    frame = index;
    onFrame(index);
    if (!playing) seek(index, video);
  }

  function attach() {
    for (const video of videos()) {
      if (known.has(video)) continue;
      known.add(video);
      video.addEventListener('seeking', () => heard(video, video.currentTime));
      video.addEventListener('timeupdate', () => heard(video, video.currentTime));
      video.addEventListener('play', () => { follow(video); onPlaying(true); });
      for (const name of ['pause', 'ended']) video.addEventListener(name, () => onPlaying(isPlaying()));
      if (!video.paused) follow(video);
    }
    known = new Set([...known].filter((video) => video.isConnected));
  }

  // timeupdate comes four times a second; the frame callback says which frame is on screen.
  function follow(video) {
    if (!video.requestVideoFrameCallback) return;
    const step = (_, { mediaTime }) => {
      if (video.paused || !video.isConnected) return; // the frame of some seek: its events tell of it
      heard(video, mediaTime);
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  }

  function isPlaying() { return timer !== null || ready().some((video) => !video.paused && !video.ended); }

  function stop() {
    clearInterval(timer);
    timer = null;
    for (const video of ready()) video.pause();
    onPlaying(false);
  }

  function start() {
    if (times.length < 2) return;
    const able = ready();
    if (able.length) {
      quiet = 0;
      if (frame >= times.length - 1) seek(0);
      for (const video of able) video.play().catch(() => {});
    } else {
      const step = Math.max(50, (1000 * (times[times.length - 1] - times[0])) / (times.length - 1));
      timer = setInterval(() => { frame = (frame + 1) % times.length; onFrame(frame); }, step);
    }
    onPlaying(true);
  }

  const watcher = setInterval(attach, 400);
  attach();
  return {
    seek,
    stop,
    toggle: () => (isPlaying() ? stop() : start()),
    setTimes: (list) => { times = list; },
    at: (index) => { frame = index; },
    // Of a video that lasts as long as the path; another would not belong to it.
    src: () => {
      const step = times.length > 1 ? times[times.length - 1] - times[times.length - 2] : 0.1;
      const fits = (video) => Math.abs(video.duration - times[times.length - 1] - step) < 1.5 * step;
      return (ready().find(fits) || {}).currentSrc || null;
    },
    destroy: () => { clearInterval(watcher); clearInterval(timer); times = []; }, // deaf from then on
  };
}
