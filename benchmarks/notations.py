"""Words the made-up film in each notation that is compared: .kling, YAML with Jinja2 marks, Jsonnet, Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from story import Clip, Film, Reference, Shot

PROSE_COLUMNS = 100


def write(film: Film) -> dict[str, str]:
    """Return the film's text in every notation, by file name."""
    return {
        "film.kling": "".join(_kling(film)),
        "film.yaml.j2": "".join(_yaml(film)),
        "film.jsonnet": "".join(_jsonnet(film)),
        "film.py": "".join(_python(film)),
    }


def _kling(film: Film) -> Iterator[str]:
    yield f"Title: {film.title}\nModel: o3-4k\nAspect: 16:9\nAudio: on\n\n"
    for reference in film.cast:
        yield f"{reference.kind} {reference.name}\n  front: {reference.front}\n"
        yield f"  angles: {', '.join(reference.angles)}\n\n"
    for scene in film.scenes:
        yield f"{scene.heading}\n\n"
        for take in scene.takes:
            if isinstance(take, Clip):
                yield f"CLIP {take.id} {take.seconds}s\n\n"
                for shot in take.shots:
                    yield _kling_shot(shot)
                yield "END CLIP\n\n"
            else:
                yield _kling_shot(take)


def _kling_shot(shot: Shot) -> str:
    prose = "\n".join(_wrap(shot.action))
    return f"SHOT {shot.id} {shot.seconds}s {shot.camera}\n{prose}\n\n"


def _wrap(text: str) -> Iterator[str]:
    # Only the last lines of a paragraph are short, and no line of the vocabulary begins like a keyword.
    while len(text) > PROSE_COLUMNS:
        end = text.rindex(" ", 0, PROSE_COLUMNS + 1)
        yield text[:end]
        text = text[end + 1 :]
    yield text


def _yaml(film: Film) -> Iterator[str]:
    yield f'title: {film.title}\nusd_per_second: "{film.usd_per_second}"\naspect_ratio: "16:9"\ngenerate_audio: true\n'
    yield "cast:\n"
    yield f"{{% for name in {json.dumps([reference.name for reference in film.cast])} %}}\n"
    yield "  {{ name }}:\n    front: refs/{{ name | lower }}-front.png\n"
    yield "    angles: [refs/{{ name | lower }}-left.png, refs/{{ name | lower }}-back.png]\n{% endfor %}\n"
    yield "scenes:\n"
    for scene in film.scenes:
        yield f'{{% set heading = "{scene.heading}" %}}\n- heading: {{{{ heading }}}}\n  takes:\n'
        for take in scene.takes:
            if isinstance(take, Clip):
                yield f"  - id: {take.id}\n    shots:\n"
                for number, shot in enumerate(take.shots):
                    prompt = _yaml_prompt(shot, heading="{{ heading }}. " if number == 0 else "")
                    yield f"    - duration: {shot.seconds}\n      prompt: {prompt}\n"
            else:
                prompt = _yaml_prompt(take, heading="{{ heading }}. ")
                yield f"  - id: {take.id}\n    duration: {take.seconds}\n    prompt: {prompt}\n"


def _yaml_prompt(shot: Shot, *, heading: str) -> str:
    return f'"{heading}{shot.camera}. {shot.action}"'


def _jsonnet(film: Film) -> Iterator[str]:
    yield "local kling = import 'kling.libsonnet';\n\nlocal cast = {\n"
    for reference in film.cast:
        yield f"  {reference.name}: {{ {_media(reference, ': ', quote=repr)} }},\n"
    yield f"}};\n\nkling.film('{film.title}', '{film.usd_per_second}', cast, [\n"
    for scene in film.scenes:
        yield f"  kling.scene('{scene.heading}', [\n"
        for take in scene.takes:
            if isinstance(take, Clip):
                yield f"    kling.clip('{take.id}', [\n"
                for shot in take.shots:
                    yield f"      kling.cut({_jsonnet_words(shot)}),\n"
                yield "    ]),\n"
            else:
                yield f"    kling.shot('{take.id}', {_jsonnet_words(take)}),\n"
        yield "  ]),\n"
    yield "])\n"


def _jsonnet_words(shot: Shot) -> str:
    names = ", ".join(f"'{name}'" for name in shot.names)
    return f"{shot.seconds}, '{shot.camera}', [{names}], '{shot.action}'"


def _python(film: Film) -> Iterator[str]:
    yield "from pydantic_film import Clip, Film, Reference, Scene, Shot\n\n"
    yield f'film = Film(title="{film.title}", usd_per_second="{film.usd_per_second}")\n'
    for reference in film.cast:
        yield f'film.cast["{reference.name}"] = Reference({_media(reference, "=", quote=json.dumps)})\n'
    for scene in film.scenes:
        yield f'\nscene = Scene(heading="{scene.heading}")\nfilm.scenes.append(scene)\n'
        for take in scene.takes:
            if isinstance(take, Clip):
                yield f'clip = Clip(id="{take.id}")\nscene.takes.append(clip)\n'
                for shot in take.shots:
                    yield f"clip.shots.append({_python_shot(shot)})\n"
            else:
                yield f"scene.takes.append({_python_shot(take)})\n"
    yield "\nfilm.print_requests()\n"


def _python_shot(shot: Shot) -> str:
    return f'Shot(id="{shot.id}", seconds={shot.seconds}, camera="{shot.camera}", action="{shot.action}")'


def _media(reference: Reference, equals: str, *, quote: Callable[[str], str]) -> str:
    angles = ", ".join(quote(path) for path in reference.angles)
    return f"front{equals}{quote(reference.front)}, angles{equals}[{angles}]"
