// The visitor's results: press one to load it with its settings, or to compare the shown one with it.
const root = element.querySelector('.hist');
const list = root.querySelector('ol');
const empty = root.querySelector('p');
// `table`: see `i18n.script`.
const words = table[(navigator.language || '').slice(0, 2)] || table.en;

function button(name, item, kind) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = `hist-${kind}`;
  made.textContent = name;
  made.setAttribute('aria-label', `${name}: ${item.title}`);
  made.addEventListener('click', () => {
    const chosen = { id: item.id, action: kind };
    trigger('select', chosen);
  });
  return made;
}

function row(item) {
  const line = document.createElement('li');
  line.className = `hist-item rap-${item.state}${item.shown ? ' hist-shown' : ''}${item.other ? ' hist-other' : ''}`;
  line.dataset.id = item.id;
  const picture = document.createElement(item.poster ? 'img' : 'span');
  picture.className = 'hist-picture';
  if (item.poster) { picture.src = item.poster; picture.alt = ''; }
  const about = document.createElement('div');
  about.className = 'hist-about';
  const title = document.createElement('b'), detail = document.createElement('small');
  title.textContent = item.title;
  detail.textContent = item.detail;
  about.append(title, detail);
  const acts = document.createElement('span');
  acts.className = 'hist-acts';
  if (item.can_load) acts.append(button(words.load, item, 'load'));
  if (item.can_compare) acts.append(button(item.other ? words.input : words.compare, item, 'compare'));
  if (item.can_delete) acts.append(button(words.remove, item, 'delete'));
  line.append(picture, about, acts);
  return line;
}

function draw() {
  const items = props.value || [];
  empty.hidden = items.length > 0;
  empty.textContent = words.empty;
  list.replaceChildren(...items.map(row));
}

watch('value', draw);
draw();
