# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# source scripts/setup.bash
#
# Gives this shell the virtual environment, ROS 2 (the one that is sourced, else the wheels in the
# virtual environment) and the built package. Python modules are taken from the source tree, so that
# an edit needs no build; messages, launch and config files come from install/.

_gsc_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
_gsc_venv="${_gsc_root}/.venv"

case ":${PATH}:" in
  *":${_gsc_venv}/bin:"*) ;;
  *) export PATH="${_gsc_venv}/bin:${PATH}" ;;
esac

# The wheels are in use when the virtual environment has them.
if [ -d "${_gsc_venv}/share/ament_cmake" ]; then
  # Where their libraries are is known to a hook that the wheels install, which restarts Python with
  # the right LD_LIBRARY_PATH. Ask it once, and spare every later start the restart.
  LD_LIBRARY_PATH="$(env -u _ROS_WHEELS_BOOTSTRAP_COMPLETE "${_gsc_venv}/bin/python" -c \
    'import os; print(os.environ["LD_LIBRARY_PATH"])')"
  export LD_LIBRARY_PATH
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
  export AMENT_PREFIX_PATH="${_gsc_venv}" CMAKE_PREFIX_PATH="${_gsc_venv}"
fi

if [ -f "${_gsc_root}/install/local_setup.bash" ]; then
  # colcon's scripts read variables that may be unset.
  case "$-" in *u*) _gsc_nounset=1; set +u ;; *) _gsc_nounset= ;; esac
  source "${_gsc_root}/install/local_setup.bash"
  [ -z "${_gsc_nounset}" ] || set -u
  unset _gsc_nounset
fi

# The command `gsc`, and the nodes that `ros2 run gsc_ros` would find. In front: iproute2 has a
# `bridge`, too.
case ":${PATH}:" in
  ":${_gsc_root}/install/gsc_ros/lib/gsc_ros:"*) ;;
  *) export PATH="${_gsc_root}/install/gsc_ros/lib/gsc_ros:${PATH}" ;;
esac

case ":${PYTHONPATH:-}:" in
  ":${_gsc_root}:"*) ;;
  *) export PYTHONPATH="${_gsc_root}${PYTHONPATH:+:${PYTHONPATH}}" ;;
esac

# Images larger than the default shared-memory segment get lost without this profile. Fast DDS 2
# (Jazzy) reads the first of these variables, Fast DDS 3 (Kilted) the second.
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-${_gsc_root}/config/fastdds.xml}"
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-${_gsc_root}/config/fastdds.xml}"

# Without these, glibc maps and unmaps every block of some MB (an image, a tensor) on each use.
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-17179869184}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-17179869184}"

unset _gsc_root _gsc_venv
