// Turns scenes, shots and clips into requests: binds names to elements, validates, and adds the cost up.

local endpoint = 'fal-ai/kling-video/o3/4k/reference-to-video';
local digests = std.extVar('digests');

local asset(path) = 'asset:%s/%s' % [digests[path], std.splitLimitR(path, '/', 1)[1]];

local element(media) = {
  frontal_image_url: asset(media.front),
  reference_image_urls: [asset(path) for path in media.angles],
};

// Names in order of first use.
local unique(names) = std.foldl(
  function(known, name) if std.member(known, name) then known else known + [name], names, []
);

local bind(text, names) = std.foldl(
  function(bound, index) std.strReplace(bound, '@' + names[index], '@Element' + (index + 1)),
  std.range(0, std.length(names) - 1),
  text
);

local dollars(cents) = '%d.%02d' % [std.floor(cents / 100), cents % 100];

local prompt(opening, shot, names) = bind(opening + shot.camera + '. ' + shot.action, names);

local check(id, arguments, seconds) =
  assert std.objectHas(arguments, 'prompt') != std.objectHas(arguments, 'multi_prompt') :
         '%s: exactly one of prompt and multi_prompt' % id;
  assert std.length(arguments.elements) <= 7 : '%s: more than 7 references' % id;
  assert seconds >= 3 && seconds <= 15 : '%s: 3 to 15 seconds' % id;
  assert !std.objectHas(arguments, 'prompt') || std.length(arguments.prompt) <= 2500 :
         '%s: the prompt is too long' % id;
  assert !std.objectHas(arguments, 'multi_prompt') || std.length(arguments.multi_prompt) <= 6 && std.all([
    std.length(shot.prompt) <= 512
    for shot in arguments.multi_prompt
  ]) : '%s: too many shots, or too long a prompt' % id;
  arguments;

local request(take, heading, elements, cents_per_second) =
  local shots = take.shots;
  local names = if take.multi then unique(std.flattenArrays([shot.names for shot in shots])) else shots[0].names;
  local seconds = if take.multi then std.sum([shot.seconds for shot in shots]) else shots[0].seconds;
  local words =
    if take.multi then {
      multi_prompt: [
        {
          // The heading opens the request, so that the later shots do not repeat it.
          prompt: prompt(if index == 0 then heading + '. ' else '', shots[index], names),
          duration: std.toString(shots[index].seconds),
        }
        for index in std.range(0, std.length(shots) - 1)
      ],
    } else { prompt: prompt(heading + '. ', shots[0], names) };
  {
    id: take.id,
    scene: heading,
    endpoint: endpoint,
    arguments: check(take.id, words + {
      elements: [elements[name] for name in names],
      generate_audio: true,
      duration: std.toString(seconds),
      shot_type: 'customize',
      aspect_ratio: '16:9',
    }, seconds),
    references: { [names[index]]: '@Element' + (index + 1) for index in std.range(0, std.length(names) - 1) },
    seconds: seconds,
    cost_usd: dollars(seconds * cents_per_second),
  };

local cut(seconds, camera, names, action) = { seconds: seconds, camera: camera, names: names, action: action };

{
  cut: cut,
  shot(id, seconds, camera, names, action): { id: id, multi: false, shots: [cut(seconds, camera, names, action)] },
  clip(id, shots): { id: id, multi: true, shots: shots },
  scene(heading, takes): { heading: heading, takes: takes },
  film(title, usd_per_second, cast, scenes):
    local elements = std.mapWithKey(function(name, media) element(media), cast);
    local cents_per_second = std.round(std.parseJson(usd_per_second) * 100);
    local requests = [
      request(take, scene.heading, elements, cents_per_second)
      for scene in scenes
      for take in scene.takes
    ];
    local seconds = std.sum([request.seconds for request in requests]);
    {
      film: title,
      requests: requests,
      total: { seconds: seconds, cost_usd: dollars(seconds * cents_per_second) },
    },
}
