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
  function(bound, index) std.strReplace(bound, '@' + names[index], '@Element%d' % (index + 1)),
  std.range(0, std.length(names) - 1),
  text
);

local dollars(cents) = '%d.%02d' % [std.floor(cents / 100), cents % 100];

local prompt(heading, shot, names) = bind('%s. %s. %s' % [heading, shot.camera, shot.action], names);

local check(id, arguments) =
  assert std.objectHas(arguments, 'prompt') != std.objectHas(arguments, 'multi_prompt') :
         '%s: exactly one of prompt and multi_prompt' % id;
  assert std.length(arguments.elements) <= 7 : '%s: more than 7 references' % id;
  assert std.parseInt(arguments.duration) >= 3 && std.parseInt(arguments.duration) <= 15 :
         '%s: 3 to 15 seconds' % id;
  assert std.length(std.get(arguments, 'prompt', '')) <= 2500 : '%s: the prompt is too long' % id;
  assert std.all([
    std.length(shot.prompt) <= 512 && std.parseInt(shot.duration) >= 1 && std.parseInt(shot.duration) <= 15
    for shot in std.get(arguments, 'multi_prompt', [])
  ]) : '%s: a shot of the clip is too long' % id;
  assert std.length(std.get(arguments, 'multi_prompt', [])) <= 6 : '%s: more than 6 shots' % id;
  arguments;

local request(take, heading, elements, cents_per_second) =
  local shots = take.shots;
  local names = unique(std.flattenArrays([shot.names for shot in shots]));
  local seconds = std.sum([shot.seconds for shot in shots]);
  local words =
    if take.multi then {
      multi_prompt: [
        { prompt: prompt(heading, shot, names), duration: std.toString(shot.seconds) }
        for shot in shots
      ],
    } else { prompt: prompt(heading, shots[0], names) };
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
    }),
    references: { [names[index]]: '@Element%d' % (index + 1) for index in std.range(0, std.length(names) - 1) },
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
