// Files made in the browser: the view as one page that works offline; meshes come from the server.

function save(name, bytes, type) {
  const blob = new Blob([bytes], { type });
  const link = el('a', { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return blob.size;
}

function fillPage(template, pieces) {
  return template.replace(/@@(\w+)@@/g, (_, name) => pieces[name]);
}

function base64(buffer) {
  const bytes = new Uint8Array(buffer);
  let text = '';
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

// A clip of the page goes along if it is not large: the page then plays by itself.
async function videoElement(source, say) {
  if (!source) return '';
  try {
    const answer = await fetch(source);
    const data = await answer.arrayBuffer();
    if (!answer.ok || data.byteLength > 20e6) return '';
    return `<video id="clip" controls muted loop playsinline aria-label="${say('video')}" src="data:video/mp4;base64,${base64(data)}"></video>`;
  } catch (error) { return ''; }
}

async function exportPage({ text, say, language, video }, { template, source, settings, plotlyUrl }) {
  const { code } = await loadPlotly(plotlyUrl);
  const page = fillPage(template, {
    TITLE: say('region'), LANGUAGE: language, PLOTLY: code, SOURCE: source, VALUE: text,
    SETTINGS: JSON.stringify({ ...settings, language }), VIDEO: await videoElement(video, say),
  });
  const name = 'camera-path.html';
  return say('saved', { name, size: megabytes(save(name, page, 'text/html')) });
}

async function exportMesh({ kind, value, say }, server) {
  const answer = await server.path_view_mesh(kind, value.trajectory);
  if (!answer) return say('failed');
  if (!answer.ok) return answer.message;
  const bytes = Uint8Array.from(atob(answer.data), (letter) => letter.charCodeAt(0));
  return say('saved', { name: answer.name, size: megabytes(save(answer.name, bytes, 'application/octet-stream')) });
}
