// The search over the cards: all words must occur. It lives in the fragment, so it
// survives Back and never reaches the server.
const { find, all } = structiot;
const box = find(".search input");
const results = find(".results");

function filter() {
	const words = box.value.toLowerCase().split(/\s+/);
	const cards = all(".cards .card");
	for (const card of cards) card.hidden = !words.every((word) => card.dataset.words.includes(word));
	for (const group of all(".group")) group.hidden = !find(".card:not([hidden])", group);
	const shown = cards.filter((card) => !card.hidden).length;
	const text = `${shown} of ${cards.length} devices`;
	if (results.textContent !== text) results.textContent = text;
	find("[data-none]").hidden = shown > 0 || !cards.length;
}

function restore() {
	box.value = new URLSearchParams(location.hash.slice(1)).get("q") || "";
	filter();
}

box.addEventListener("input", () => {
	filter();
	const hash = box.value.trim() && `#${new URLSearchParams({ q: box.value })}`;
	history.replaceState(null, "", location.pathname + location.search + hash);
});
box.form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
	const isTyping = event.target.matches("select, [type=search], [type=text], [type=password]");
	if (event.key === "/" && !isTyping) box.select();
	else if (event.key === "Escape" && event.target === box) {
		box.value = "";
		box.dispatchEvent(new Event("input"));
	} else return;
	event.preventDefault();
});
addEventListener("hashchange", restore);
addEventListener("pageshow", restore);
document.addEventListener("structiot:replaced", filter);
