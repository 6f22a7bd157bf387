// The search lives in the fragment: it survives Back, and stays here.
const { find, all, hear } = structiot;
const box = find(".search input");

function filter() {
	const words = box.value.toLowerCase().split(/\s+/);
	const cards = all(".cards .card");
	for (const card of cards) card.hidden = !words.every((word) => card.dataset.words.includes(word));
	for (const group of all(".group")) group.hidden = !find(".card:not([hidden])", group);
	const shown = cards.filter((card) => !card.hidden).length;
	find(".results").textContent = `${shown} of ${cards.length} devices`;
}

function restore() {
	box.value = new URLSearchParams(location.hash.slice(1)).get("q") || "";
	filter();
}

function changed() {
	filter();
	const hash = box.value.trim() && `#${new URLSearchParams({ q: box.value })}`;
	history.replaceState(null, "", location.pathname + location.search + hash);
}

box.addEventListener("input", changed);
box.form.addEventListener("submit", (event) => event.preventDefault());
hear("keydown", (event) => {
	const { key, target } = event;
	if (key === "/" && !target.matches("select, [type=search], [type=text], [type=password]")) box.select();
	else if (key !== "Escape" || target !== box) return;
	else {
		box.value = "";
		changed();
	}
	event.preventDefault();
});
addEventListener("hashchange", restore);
hear("renewed", filter);
restore();
