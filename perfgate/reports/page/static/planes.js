"use strict";
// Starts a page that has settings in the plane of time and memory, and no cases.

readData().then((data) => {
  planePicture(data.planes, document.getElementById("pareto"));
  document.documentElement.dataset.ready = "yes";
});
