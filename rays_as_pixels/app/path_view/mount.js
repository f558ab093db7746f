// Starts the view in Gradio's element, and connects it to the component's value, events and server.
const view = Function(`${SOURCE}\nreturn { pathView, exportPage, exportMesh };`)();
const base = (window.gradio_config && window.gradio_config.root) || '';
const plotlyUrl = `${base}/gradio_api/file=${PLACE.plotlyFile}`;
const mount = element.querySelector('.rpv-mount');
const shelf = (window.__raysAsPixels ??= {});
const views = (shelf.views ??= {});
if (views[PLACE.key]) views[PLACE.key].destroy(); // of an element that Gradio took off the page
const api = view.pathView(mount, {
  ...SETTINGS, plotlyUrl,
  key: PLACE.key, videoIds: PLACE.videoIds, language: PLACE.language, height: PLACE.height,
  onChoose: (detail) => { trigger('frame_select', detail); tell(detail); },
  onExport: (request) => (request.kind === 'html'
    ? view.exportPage(request, { template: TEMPLATE, source: SOURCE, settings: SETTINGS, plotlyUrl })
    : view.exportMesh(request, server)),
});
element.pathView = api;
views[PLACE.key] = api;

// The editor beside the view, if one was named, shows the same frame.
const editor = () => (PLACE.editorId ? document.querySelector(`#${CSS.escape(PLACE.editorId)} .rap-ed`) : null);
const tell = ({ frame }) => { if (editor()) editor().dispatchEvent(new CustomEvent('rap-seek', { detail: { frame } })); };
const scrubbed = ({ target, detail }) => {
  if (!element.isConnected) { document.removeEventListener('rap-scrub', scrubbed); return; }
  if (!editor() || target !== editor()) return;
  const share = detail.num_frames > 1 ? detail.frame / (detail.num_frames - 1) : 0;
  mount.firstElementChild.dispatchEvent(new CustomEvent('rap-goto', { detail: { share } }));
};
document.addEventListener('rap-scrub', scrubbed);

const show = () => api.set(props.value || null);
watch('value', show);
show();
