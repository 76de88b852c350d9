# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the nodes: names, defaults, descriptions, ranges. The only place for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gsc_ros.codec import text
from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings, Quantization
from gsc_ros.codec.caption.schedule import SCENE_THRESHOLD
from gsc_ros.codec.error import CodecError
from gsc_ros.link.record.cipher import Suite
from gsc_ros.nodes.generator_schema import GeneratorParameters
from gsc_ros.nodes.key_region_schema import CameraRegionParameters, RegionParameters
from gsc_ros.nodes.parameter import camera_list, group, parameter, topic_refusal
from gsc_ros.nodes.transport_schema import (
    SerialParameters,
    SimParameters,
    SpoolParameters,
    UdpParameters,
)

# The largest image that a packet can hold.
MAX_PIXELS = 8192 * 8192
CAPTIONING = CaptionerSettings()
# How the nodes spell what protects the datagrams.
SUITES = {'none': Suite.NONE, 'aes-ccm': Suite.AES_CCM,
          'chacha20-poly1305': Suite.CHACHA20_POLY1305}


class Mode(Enum):
    """How a receiver makes its pictures."""

    STRUCTURE = 'structure'
    GENERATE = 'generate'
    AUTO = 'auto'


class Role(Enum):
    """Which end of the link a bridge is."""

    BOTH = 'both'
    ROVER = 'rover'
    GROUND = 'ground'


def max_pixels(description: str) -> int:
    """Return the parameter `max_pixels`, a bound on the time and memory of one image."""
    return parameter(9_000_000, description, minimum=256, maximum=MAX_PIXELS, live=True)


def _caption_refusal(caption: str) -> str | None:
    try:
        text.compress(caption)
    except CodecError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class SenderParameters:
    """Node-wide parameters; the coding ones hold for every camera that has none of its own."""

    cameras: tuple[str, ...] = camera_list('Cameras to send; a name is the topic prefix.')
    autostart: bool = parameter(True, 'Configure and activate by itself.', read_only=True)
    profile: str = parameter('tiny', 'Name or directory of the codec profile.')
    encoder_threads: int = parameter(1, 'CPU threads of the encoder.', minimum=1, maximum=64)
    max_fps: float = parameter(
        10.0, 'Frames per second of a camera, at most; 0 takes all.', minimum=0, maximum=1000,
        live=True)
    channels: int = parameter(
        32, 'Latent channels to send, at most.', minimum=1, maximum=320, live=True)
    quantizer: int = parameter(
        -1, 'Quantizer level, 0 the coarsest; -1 is the default of the profile.',
        minimum=-1, maximum=15, live=True)
    selection: str = parameter(
        'ordered', 'How channels are chosen: by trained order, or by SSIM for each frame.',
        choices=('ordered', 'ssim'), live=True)
    max_bytes: int = parameter(
        0, 'Bytes of a packet, at most; 0 is no limit.', minimum=0, maximum=65536, live=True)
    stream: bool = parameter(
        False, 'Code each frame with the one before as context: fewer bytes, but a frame that is '
        'lost costs the ones up to the next that stands alone.', live=True)
    stream_refresh_interval: int = parameter(
        100, 'Frames of a stream after which one stands alone, at most.', minimum=1,
        maximum=1_000_000, live=True)
    max_width: int = parameter(
        0, 'Wider images are scaled down to this width in pixels; 0 keeps them.',
        minimum=0, maximum=8192, live=True)
    max_pixels: int = max_pixels('Larger images are refused unread; pixels.')
    region_ring_s: float = parameter(
        30.0, 'Seconds for which originals are kept, so that the ground can ask for a region of '
        'one; 0 keeps none.', minimum=0, maximum=3600, live=True)
    region_ring_mb: int = parameter(
        64, 'Memory for the originals of all cameras, in MB; where it is full they are thinned '
        'out.', minimum=1, maximum=65_536, live=True)
    regions: RegionParameters = group(RegionParameters)
    captioner: str = parameter(
        'fixed', 'Who writes the captions: nobody, the parameter caption, a model in this process, '
        'or an OpenAI-compatible endpoint.', choices=tuple(name.value for name in CaptionerName))
    caption: str = parameter(
        '', 'The caption, with captioner fixed; empty for none.', live=True,
        check=_caption_refusal)
    caption_max_characters: int = parameter(
        CAPTIONING.max_characters, 'Characters of a caption; a longer one ends after a word.',
        minimum=1, maximum=1000)
    caption_refresh_interval_s: float = parameter(
        30.0, 'Seconds after which the text of a caption is sent again, for receivers that lost '
        'it; 0 sends it with every frame.', minimum=0, maximum=86_400, live=True)
    caption_interval_s: float = parameter(
        10.0, 'Seconds between two pictures of a camera that a model describes, at least.',
        minimum=0, maximum=86_400, live=True)
    caption_scene_threshold: float = parameter(
        SCENE_THRESHOLD, 'Change of the scene since the last description that asks for a new one, '
        '0 to 1; 0 asks after every interval.', minimum=0, maximum=1, live=True)
    caption_model: str = parameter(
        '', 'Directory of the model (qwen2.5-vl), or its name at the endpoint (openai).')
    caption_prompt: str = parameter(CAPTIONING.prompt, 'What the model is told.')
    caption_max_tokens: int = parameter(
        CAPTIONING.max_tokens, 'Tokens that the model writes, at most.', minimum=1, maximum=4096)
    caption_min_pixels: int = parameter(
        CAPTIONING.min_pixels, 'Smaller pictures are scaled up for the model; pixels.',
        minimum=256, maximum=MAX_PIXELS)
    caption_max_pixels: int = parameter(
        CAPTIONING.max_pixels, 'Larger pictures are scaled down for the model; pixels.',
        minimum=256, maximum=MAX_PIXELS)
    caption_quantization: str = parameter(
        'none', 'Weights of the model in process, as bitsandbytes makes them.',
        choices=tuple(kind.value for kind in Quantization))
    caption_url: str = parameter(
        CAPTIONING.url, 'Where the endpoint has its /chat/completions.')
    caption_timeout_s: float = parameter(
        CAPTIONING.timeout_s, 'Seconds that one request to the endpoint may take.',
        minimum=0.1, maximum=3600)


@dataclass(frozen=True)
class SenderCameraParameters:
    """Parameters `<camera>.*`; -1 (and no caption) takes the node-wide value."""

    transport: str = parameter(
        'raw', 'Image topic: image_raw, or image_raw/compressed.', choices=('raw', 'compressed'))
    priority: int = parameter(
        128, 'Place in the queue of the link, 0 the most urgent.', minimum=0, maximum=255,
        live=True)
    max_fps: float = parameter(
        -1.0, 'Frames per second, at most; 0 takes all.', minimum=-1, maximum=1000, live=True,
        check=lambda value: 'less than none' if -1.0 < value < 0.0 else None)
    channels: int = parameter(-1, 'Channels, at most.', minimum=-1, maximum=320, live=True,
                              check=lambda value: '0 channels show nothing' if not value else None)
    quantizer: int = parameter(
        -1, 'Quantizer level, 0 the coarsest.', minimum=-1, maximum=15, live=True)
    max_bytes: int = parameter(
        -1, 'Bytes of a packet, at most; 0 is no limit.', minimum=-1, maximum=65536, live=True)
    stream: int = parameter(
        -1, 'Code each frame with the one before as context: 1, or not: 0.', minimum=-1, maximum=1,
        live=True)
    max_width: int = parameter(
        -1, 'Width in pixels, at most; 0 keeps it.', minimum=-1, maximum=8192, live=True)
    regions: CameraRegionParameters = group(CameraRegionParameters)
    caption: str = parameter(
        '', 'The caption, with captioner fixed.', live=True, check=_caption_refusal)


@dataclass(frozen=True)
class BridgeParameters:
    """Parameters of the bridge."""

    cameras: tuple[str, ...] = camera_list('Cameras to carry, as named in the sender.')
    autostart: bool = parameter(True, 'Configure and activate by itself.', read_only=True)
    role: str = parameter(
        'both', 'Which end of the link this is: rover, ground, or both in one process, which needs '
        'the transport sim.', choices=tuple(role.value for role in Role))
    link_bps: int = parameter(
        20_000, 'Hard budget of what leaves the rover in bits per second, every header included.',
        minimum=10, maximum=10 ** 9, live=True)
    return_bps: int = parameter(
        0, 'Hard budget of what leaves the ground in bits per second; 0 is a tenth of link_bps, or '
        'what receipts need where that is more.', minimum=0, maximum=10 ** 9, live=True)
    burst_bits: int = parameter(
        0, 'Bits that may leave the rover at once after a pause; 0 is one second of link_bps, at '
        'least 4096.', minimum=0, maximum=2 ** 31 - 1, live=True)
    mtu: int = parameter(
        256, 'Bytes of a datagram, at most.', minimum=32, maximum=1500)
    overhead_bytes: int = parameter(
        0, 'Bytes that the layers below the transport add to each datagram, counted in the budget.',
        minimum=0, maximum=255)
    target_fps: float = parameter(
        0.0, 'Frames per second of a camera to share the budget among, shedding layers to get '
        'there; 0 sends frames as they come.', minimum=0, maximum=1000, live=True)
    min_layers: int = parameter(
        1, 'Layers below which a frame is not cut.', minimum=1, maximum=32)
    deadline_s: float = parameter(
        10.0, 'Age in seconds at which a frame that waits is dropped.', minimum=0.01,
        maximum=86_400)
    announce_period_s: float = parameter(
        10.0, 'Seconds between announcements of the cameras and their calibration.',
        minimum=0.1, maximum=86_400)
    output_prefix: str = parameter(
        'ground', 'Topic prefix of what arrives on the far side.', constraint='a relative topic',
        check=topic_refusal)
    trace_file: str = parameter(
        '', 'CSV file of every departure (time_ns, bits, kind) of this side, for audits; empty for '
        'none.')
    security: str = parameter(
        'auto', 'Encryption and authentication of every datagram; auto is none for sim and aes-ccm '
        'for all that leaves the machine.', choices=('auto', *SUITES))
    key_file: str = parameter(
        '', 'File of the keys, the same on both sides: gsc keys new FILE makes one. Setting it '
        'again reads it again.', live=True)
    repair: str = parameter(
        'auto', 'How lost datagrams are made up for: parity sent along (fec), repeats on demand '
        '(nack), or whichever suits loss, round trip and deadline.',
        choices=('auto', 'fec', 'nack', 'none'))
    repair_share: float = parameter(
        0.3, 'Share of the budget that parity may take, and that repeats may take, at most.',
        minimum=0, maximum=0.5)
    useful_s: float = parameter(
        2.0, 'Seconds after which a repair comes too late for a frame.', minimum=0.05,
        maximum=86_400)
    least_loss: float = parameter(
        0.0, 'Loss that parity reckons with at least; with one_way, where none is measured, what '
        'the link is expected to lose.', minimum=0, maximum=0.35)
    one_way: bool = parameter(
        False, 'Nothing comes back from the ground: frames are sent and taken without being '
        'confirmed. The same on both sides.')
    reorder_ms: float = parameter(
        30.0, 'Milliseconds after which a datagram counts as lost that later ones have overtaken; '
        'at least the jitter of the path.', minimum=0, maximum=3_600_000)
    remote_parameters: tuple[str, ...] = parameter(
        ('sender.max_fps', 'sender.*.max_fps', 'sender.max_bytes', 'sender.*.max_bytes',
         'sender.quantizer', 'sender.*.quantizer', 'sender.max_width', 'sender.*.max_width',
         'sender.caption', 'bridge.target_fps'),
        "Parameters of the rover's nodes that the ground may set, as <node>.<parameter>; * stands "
        'for one word.', live=True)
    remote_timeout_s: float = parameter(
        10.0, 'Seconds after which a parameter change that the rover has not answered counts as '
        'failed.', minimum=0.1, maximum=3600, live=True)
    transport: str = parameter(
        'sim', 'What carries the datagrams; spool keeps the frames on disk until they have '
        'arrived.', choices=('sim', 'udp', 'serial', 'spool'))
    sim: SimParameters = group(SimParameters)
    udp: UdpParameters = group(UdpParameters)
    serial: SerialParameters = group(SerialParameters)
    spool: SpoolParameters = group(SpoolParameters)


@dataclass(frozen=True)
class ReceiverParameters:
    """Parameters of the receiver."""

    cameras: tuple[str, ...] = camera_list('Cameras to reconstruct, as named in the sender.')
    autostart: bool = parameter(True, 'Configure and activate by itself.', read_only=True)
    input_prefix: str = parameter(
        'ground', 'Topic prefix of the frames, as the output_prefix of the bridge.',
        constraint='a relative topic', check=topic_refusal)
    profile: str = parameter('tiny', 'Name or directory of the codec profile.')
    mode: str = parameter(
        'structure', 'How pictures are made: by one pass over what was measured, by a generator, '
        'or both ways, the generated ones on topics of their own.',
        choices=tuple(mode.value for mode in Mode))
    badge: bool = parameter(
        False, 'Write into a corner of each picture how it was made; for people.', live=True)
    overlay: bool = parameter(
        False, 'Publish each picture once more with its objects and regions drawn into it.')
    labels: str = parameter(
        '', 'File with the names of the classes of objects from number 80 on, one a line; those '
        'below are those of COCO.')
    decoder_threads: int = parameter(1, 'CPU threads of the decoder.', minimum=1, maximum=64)
    repair_wait_s: float = parameter(
        2.0, 'Seconds for which frames of a stream wait for a repair of the one that they refer '
        'to, before a new start is asked for; the useful_s of the bridge, or 0 where nothing is '
        'repaired.', minimum=0, maximum=60)
    output_width: int = parameter(
        0, 'Width in pixels of the published images; 0 is the width as coded.',
        minimum=0, maximum=8192, live=True)
    max_pixels: int = max_pixels(
        'Packets of larger images are refused undecoded, and larger outputs; pixels.')
    generator: GeneratorParameters = group(GeneratorParameters)
