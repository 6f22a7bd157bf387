// The search over the cards: all words must occur. It lives in the fragment, so it
// survives Back and never reaches the server.
"use strict";
(() => {
	const box = document.querySelector(".search input");
	const results = document.querySelector(".results");
	const none = document.querySelector("[data-none]");

	function filter() {
		const words = box.value.toLowerCase().split(/\s+/);
		const isFound = (card) => words.every((word) => card.dataset.words.includes(word));
		const cards = [...document.querySelectorAll(".cards .card")];
		for (const card of cards) card.hidden = !isFound(card);
		for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".card:not([hidden])");
		const shown = cards.filter((card) => !card.hidden).length;
		const text = `${shown} of ${cards.length} devices`;
		if (results.textContent !== text) results.textContent = text;
		none.hidden = shown > 0 || !cards.length;
	}

	function restore() {
		box.value = new URLSearchParams(location.hash.slice(1)).get("q") || "";
		filter();
	}

	box.addEventListener("input", () => {
		filter();
		const hash = box.value.trim() ? `#${new URLSearchParams({ q: box.value })}` : "";
		history.replaceState(null, "", location.pathname + location.search + hash);
	});
	box.form.addEventListener("submit", (event) => event.preventDefault());
	document.addEventListener("keydown", (event) => {
		if (event.key === "/" && !event.target.matches("[type=search], [type=text], [type=password], select")) {
			event.preventDefault();
			box.select();
		} else if (event.key === "Escape" && event.target === box) {
			event.preventDefault();
			box.value = "";
			box.dispatchEvent(new Event("input"));
		}
	});
	addEventListener("hashchange", restore);
	addEventListener("pageshow", restore);
	document.addEventListener("structiot:replaced", filter);
})();
