// The search over the cards: all words must occur. It lives in the fragment, so it
// survives Back and never reaches the server.
"use strict";
(() => {
	const box = document.querySelector(".search input");
	const results = document.querySelector(".results");
	const none = document.querySelector("[data-none]");

	const sought = () => new URLSearchParams(location.hash.slice(1)).get("q") || "";

	function filter() {
		const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
		let shown = 0;
		let all = 0;
		for (const group of document.querySelectorAll(".group")) {
			let hasSome = false;
			for (const card of group.querySelectorAll(".card")) {
				const isFound = words.every((word) => card.dataset.words.includes(word));
				if (card.hidden === isFound) card.hidden = !isFound;
				hasSome ||= isFound;
				shown += isFound;
				all += 1;
			}
			group.hidden = !hasSome;
		}
		const text = `${shown} of ${all} devices`;
		if (results.textContent !== text) results.textContent = text;
		none.hidden = shown > 0 || all === 0;
	}

	function keep() {
		const query = box.value.trim();
		const hash = query ? `#${new URLSearchParams({ q: query })}` : "";
		history.replaceState(history.state, "", location.pathname + location.search + hash);
	}

	function restore() {
		if (box.value.trim() !== sought()) box.value = sought();
		filter();
	}

	box.addEventListener("input", () => {
		filter();
		keep();
	});
	box.form.addEventListener("submit", (event) => event.preventDefault());
	document.addEventListener("keydown", (event) => {
		const isTyping = event.target.matches("input:not([type=range], [type=radio]), select, textarea");
		if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
			event.preventDefault();
			box.focus();
			box.select();
		} else if (event.key === "Escape" && event.target === box) {
			event.preventDefault();
			box.value = "";
			filter();
			keep();
		}
	});
	addEventListener("hashchange", restore);
	addEventListener("pageshow", restore);
	document.addEventListener("structiot:replaced", filter);
	restore();
})();
