"""Reads OTA images with zigpy and says what it saw.

usage: zigpy_images.py FILE...

Prints one JSON object a line and file: its name, the header's fields, the sub-elements with their
tag and the SHA-256 of their data, and whether zigpy writes the same bytes again. A file that zigpy
does not accept gets an object with "error". Exits 0 unless a file cannot be opened.
"""

import hashlib
import json
import sys

from zigpy.ota.image import parse_ota_image


def describe(name):
    with open(name, "rb") as file:
        data = file.read()
    try:
        image, rest = parse_ota_image(data)
    except Exception as error:  # whatever zigpy raises is its verdict
        return {"file": name, "error": f"{type(error).__name__}: {error}"}
    header = image.header
    return {
        "file": name,
        "rest": len(rest),
        "sameBytes": image.serialize() == data,
        "headerVersion": int(header.header_version),
        "headerLength": int(header.header_length),
        "fieldControl": int(header.field_control),
        "manufacturerCode": int(header.manufacturer_id),
        "imageType": int(header.image_type),
        "fileVersion": int(header.file_version),
        "stackVersion": int(header.stack_version),
        "headerString": bytes(header.header_string.serialize()).hex(),
        "totalImageSize": int(header.image_size),
        "securityCredentialVersion": optional(header.security_credential_version),
        "destination": None
        if header.upgrade_file_destination is None
        else header.upgrade_file_destination.serialize()[::-1].hex(),
        "minimumHardware": optional(header.minimum_hardware_version),
        "maximumHardware": optional(header.maximum_hardware_version),
        "elements": [
            {"tag": int(element.tag_id), "sha256": hashlib.sha256(element.data).hexdigest()}
            for element in image.subelements
        ],
    }


def optional(value):
    return None if value is None else int(value)


if len(sys.argv) < 2:
    sys.exit(__doc__)
for name in sys.argv[1:]:
    print(json.dumps(describe(name)))
