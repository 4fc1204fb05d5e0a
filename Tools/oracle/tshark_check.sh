#!/bin/bash
# Judges a capture with tshark: usage: tshark_check.sh CAPTURE KEYS
#
# KEYS is a zigbee_pc_keys file, or the folder that holds one. For every frame that tshark finds
# fault with, one line: its number, a tab, what is wrong. Then one line that counts the frames,
# the suspects, and the secured APS acks: those have an empty payload, whose integrity code
# tshark does not check, so somebody else has to. Exits 0 if there were frames and none is
# suspect, 1 if one is, 66 if a file is missing, 69 without tshark.
#
# Suspect is a frame that is malformed, has no FCS or a wrong one, has a secured payload that was
# not decrypted, is a data frame without ZigBee in it, or has an expert item of severity warning
# or above (chat, notes and comments are not complaints).
set -u
if [ $# != 2 ]; then
    echo "usage: tshark_check.sh CAPTURE KEYS" >&2
    exit 64
fi
capture=$1
keys=$2
[ -d "$keys" ] && keys=$keys/zigbee_pc_keys
for file in "$capture" "$keys"; do
    if [ ! -f "$file" ]; then
        echo "tshark_check.sh: '$file' does not exist" >&2
        exit 66
    fi
done
if ! command -v tshark >/dev/null; then
    echo "tshark_check.sh: tshark is not installed (Debian package tshark)" >&2
    exit 69
fi

# A configuration of its own, so that the user's keys and preferences count for nothing.
configuration=$(mktemp -d) || exit 74
trap 'rm -rf "$configuration"' EXIT
cp "$keys" "$configuration/zigbee_pc_keys" || exit 74

fields=(
    frame.number frame.protocols wpan.frame_type wpan.fcs wpan.fcs_ok _ws.malformed
    zbee_aps.type zbee.sec.key_id zbee.sec.key zbee_sec.encrypted_payload
    _ws.expert.severity _ws.expert.message
)
arguments=()
for field in "${fields[@]}"; do arguments+=(-e "$field"); done

HOME=$configuration WIRESHARK_CONFIG_DIR=$configuration LC_ALL=C.UTF-8 \
    tshark -n -r "$capture" -T fields -E separator=/t -E occurrence=a -E aggregator='|' \
    "${arguments[@]}" 2>"$configuration/errors" >"$configuration/rows"
status=$?

awk -F '\t' '
    function complain(text) { complaint = complaint == "" ? text : complaint "; " text }
    function values(text, into) { return text == "" ? 0 : split(text, into, "|") }
    {
        complaint = ""
        data = $3 == "0x01" || $3 == "0x0001" || $3 == "1"
        if ($4 == "") complain("no FCS")
        else if ($5 != "1" && $5 != "True") complain("bad FCS")
        if ($6 != "" || $2 ~ /_ws\.malformed/) complain("malformed")
        if (data && $2 !~ /zbee_nwk/) complain("a data frame without ZigBee in it")

        layers = values($8, ignored)
        opened = values($9, ignored)
        acks = 0
        if (layers == 2 && opened == 1 && $7 == "0x02" && $10 == "") acks = 1
        uncheckedAcks += acks
        if ($10 != "" || opened + acks < layers) complain("still encrypted")

        items = values($11, severities)
        values($12, messages)
        for (item = 1; item <= items; item++)
            if (severities[item] + 0 >= 6291456)
                complain("expert: " messages[item])
        if (complaint != "") { suspects++; print $1 "\t" complaint }
    }
    END {
        printf "%d frames, %d suspect, %d secured APS acks not checked\n",
            NR, suspects, uncheckedAcks
        exit NR > 0 && suspects == 0 ? 0 : 1
    }
' "$configuration/rows"
verdict=$?

# tshark reads on as far as it can, so what it read has been judged; the rest is a fault too.
if [ "$status" != 0 ]; then
    sed "/^Running as user/d" "$configuration/errors" >&2
    exit 1
fi
exit "$verdict"
