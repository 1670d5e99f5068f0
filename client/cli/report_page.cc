#include "client/cli/report_page.h"

namespace lathe {

const char kReportStyle[] = R"css(
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; margin: 0 auto;
  max-width: 1240px; padding: 24px; background: #fff; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 8px; border-bottom: 1px solid #dde3ea; }
p.note { color: #5a6675; margin: 4px 0 12px; max-width: 75ch; }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.figure { border: 1px solid #dde3ea; border-radius: 8px; padding: 10px 16px; }
.figure b { display: block; font-size: 20px; }
.figure span { color: #5a6675; font-size: 13px; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 24px; }
.chart { position: relative; height: 340px; }
.chart.wide { grid-column: 1 / 3; height: 440px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
th, td { padding: 4px 12px; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #dde3ea; }
td { border-bottom: 1px solid #eef1f5; font-variant-numeric: tabular-nums; }
.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: anywhere; }
.no-charts .chart, .no-charts label { display: none; }
@media (max-width: 800px) { .charts { display: block; }
  .chart { margin-bottom: 24px; } }
)css";

const char kReportScript[] = R"js(
(function () {
  'use strict';
  if (typeof Chart === 'undefined') {
    document.body.classList.add('no-charts');
    return;
  }
  var data = JSON.parse(document.getElementById('report-data').textContent);
  var colors = ['#2f6fde', '#d9822b', '#2e9e6b', '#a84bd1', '#c23b4b',
                '#5f7285', '#8c6d1f', '#1798a8', '#d156a0', '#6b8e23'];
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  function make(id, config) {
    var canvas = document.getElementById(id);
    return canvas ? new Chart(canvas, config) : null;
  }
  function axis(title) { return { title: { display: true, text: title } }; }
  function describe(context) {
    var p = context.raw;
    return (p.n === undefined ? '' : 'trial ' + p.n + ': ') +
        p.y.toFixed(2) + ' % at ' + p.x.toFixed(3) + 'x' +
        (p.s ? ' (' + p.s + ')' : '');
  }

  var sources = [];
  data.trials.forEach(function (t) {
    if (sources.indexOf(t.s) < 0) { sources.push(t.s); }
  });
  var sets = [
    { label: 'chosen', data: [data.chosen], pointStyle: 'star',
      pointRadius: 12, borderWidth: 3, borderColor: '#111' },
    { label: 'original', data: [data.baseline], pointStyle: 'triangle',
      pointRadius: 8, backgroundColor: '#111' },
    { label: 'frontier', data: data.frontier, showLine: true, stepped: true,
      borderColor: '#c23b4b', backgroundColor: '#c23b4b', borderWidth: 2,
      pointRadius: 5 }
  ];
  sources.forEach(function (source, i) {
    sets.push({ label: source || 'trials', pointRadius: 3,
      backgroundColor: colors[i % colors.length],
      data: data.trials.filter(function (t) { return t.s === source; }) });
  });
  // Useless configurations would press the useful ones together.
  var least = 0.8 * data.baseline.y;
  var yAxis = axis('accuracy on the search split, %');
  yAxis.min = least;
  var chart = make('chart-frontier', { type: 'scatter',
    data: { datasets: sets },
    options: {
      scales: { x: axis('latency / original\u2019s'), y: yAxis },
      plugins: { tooltip: { callbacks: { label: describe } } } } });
  document.getElementById('show-all').addEventListener('change', function () {
    chart.options.scales.y.min = this.checked ? undefined : least;
    chart.update();
  });

  make('chart-splits', { type: 'bar',
    data: { labels: data.splits.map(function (s) { return 'trial ' + s.n; }),
      datasets: [
        { label: 'search split', backgroundColor: colors[0],
          data: data.splits.map(function (s) { return s.search; }) },
        { label: 'report split', backgroundColor: colors[1],
          data: data.splits.map(function (s) { return s.report; }) }] },
    options: { scales: { y: Object.assign(axis('accuracy, %'),
                                          { beginAtZero: false }) } } });

  function indexed(points, key) {
    return points.map(function (p, i) { return { x: i, y: p[key] }; });
  }
  make('chart-progress', { type: 'scatter',
    data: { datasets: [{ label: 'best hypervolume so far', showLine: true,
      stepped: true, pointRadius: 0, borderColor: colors[2], borderWidth: 2,
      data: indexed(data.progress, 'hypervolume') }] },
    options: { scales: { x: axis('measured trials'),
                         y: axis('hypervolume') } } });

  make('chart-rewards', { type: 'scatter',
    data: { datasets: [{ label: 'reward', backgroundColor: colors[0],
      pointRadius: 3, data: data.rewards.map(function (r) {
        return { x: r.n, y: r.reward }; }) }] },
    options: { scales: { x: axis('trial'), y: axis('reward') } } });

  make('chart-proposers', { type: 'bar',
    data: { labels: data.proposers.map(function (p) {
              return p.source || 'none'; }),
      datasets: [
        { label: 'trials', backgroundColor: colors[0],
          data: data.proposers.map(function (p) { return p.trials; }) },
        { label: 'on the frontier', backgroundColor: colors[4],
          data: data.proposers.map(function (p) { return p.on_frontier; }) }] },
    options: { indexAxis: 'y', scales: { x: axis('trials') } } });

  make('chart-components', { type: 'bar',
    data: { labels: data.proposers.map(function (p) {
              return p.source || 'none'; }),
      datasets: Object.keys(data.components).map(function (name, i) {
        return { label: name, data: data.components[name],
                 backgroundColor: colors[i % colors.length] }; }) },
    options: { indexAxis: 'y',
               scales: { x: Object.assign(axis('mean of the reward\u2019s terms'),
                                          { stacked: true }),
                         y: { stacked: true } } } });
})();
)js";

}  // namespace lathe
