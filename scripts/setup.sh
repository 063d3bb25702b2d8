# Sourced by scripts/test, scripts/demo and scripts/bench: a virtual environment with this package,
# found or made. Nothing outside the project's folder is touched.

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# The first Python of 3.11 or later that can make virtual environments.
find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2> /dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# set_up [dev]: activate .venv with the package in it, and with the tools for `dev`.
# A folder that this user may not write gets its environment in the user's cache instead.
set_up() {
    local folder="${MLGYM_MCP_VENV:-$PWD/.venv}" stamp wanted python
    if [ -z "${MLGYM_MCP_VENV:-}" ] && [ ! -w "$PWD" ]; then
        folder="${XDG_CACHE_HOME:-$HOME/.cache}/mlgym-mcp/venv"
    fi
    stamp="$folder/.set-up"
    wanted="${1:-run} $PWD $(cksum < pyproject.toml)"
    if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
        if ! find_python > /dev/null; then
            install python3 python3-venv || fail \
                "No Python 3.11 or later with venv was found." \
                "Run: $(how_to_install python3 python3-venv), or set PYTHON to one."
        fi
        python=$(find_python) || fail \
            "This system's Python is older than 3.11." \
            "Install a newer one and set PYTHON to it."
        echo "Setting up $folder with $("$python" --version) ..."
        "$python" -m venv --clear "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
            --editable . ${1:+--group "$1"}
        echo "$wanted" > "$stamp"
    fi
    . "$folder/bin/activate"
}

# how_to_install PACKAGE...: the one command of this system's package manager.
how_to_install() {
    local manager
    for manager in apt-get dnf zypper pacman apk; do
        command -v "$manager" > /dev/null || continue
        case $manager in
            apt-get) echo "sudo apt-get install -y $*" ;;
            dnf) echo "sudo dnf install -y $*" ;;
            zypper) echo "sudo zypper install -y $*" ;;
            pacman) echo "sudo pacman -S --noconfirm $*" ;;
            apk) echo "sudo apk add $*" ;;
        esac
        return
    done
    echo "install $* with your system's package manager"
}

# install PACKAGE...: with the system's package manager, where that asks for no password.
install() {
    local command as_root=()
    read -ra command <<< "$(how_to_install "$@")"
    [ "${command[0]}" = sudo ] || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2> /dev/null || return 1
        as_root=(sudo -n)
    fi
    echo "Installing $* ..."
    if [ "${command[1]}" = apt-get ]; then
        # a package list may be missing or old; an install with the old one may still work
        "${as_root[@]}" apt-get update -qq < /dev/null || true
        as_root+=(env DEBIAN_FRONTEND=noninteractive)
    fi
    "${as_root[@]}" "${command[@]:1}" > /dev/null < /dev/null
}

docker_answers() {
    python -c 'import docker; docker.from_env().ping()' 2> /dev/null
}
