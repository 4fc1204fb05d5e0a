/// The OpenAPI 3.1 document, as it is served.
let openAPIText = openAPIHead + openAPIPaths + openAPITail

private let openAPIHead = #"""
    {
      "openapi": "3.1.0",
      "info": {
        "title": "Control API",
        "version": "1",
        "description": "What a test bench can see of the emulated DCC and do with it.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
      },
      "servers": [{"url": "/"}],
      "security": [{}, {"token": []}],
      "tags": [
        {"name": "World"},
        {"name": "Homes"},
        {"name": "Runs"},
        {"name": "Tracking"},
        {"name": "DUIS"}
      ],
      "paths":
    """#

private let openAPITail = #"""
    ,
        "/api/v1/serviceD": {
          "post": {
            "operationId": "serviceD",
            "tags": ["DUIS"],
            "summary": "Non-device requests: 11.1, 11.4, 8.2, 8.4, 12.2.",
            "description": "The XML signature says who it is; no token is asked for.",
            "requestBody": {
              "required": true,
              "content": {
                "application/xml": {
                  "schema": {"type": "string", "description": "A signed DUIS request."}
                }
              }
            },
            "responses": {
              "200": {
                "description": "A signed DUIS response, also to a request that is refused.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "405": {"description": "Not a POST."},
              "408": {"description": "It did not arrive in time."},
              "413": {
                "description": "More than a body may have: a signed DUIS response says so.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "415": {"description": "No application/xml."},
              "503": {"description": "Too many at a time; Retry-After says when to come again."}
            }
          }
        },
        "/api/v1/serviceS": {
          "post": {
            "operationId": "serviceS",
            "tags": ["DUIS"],
            "summary": "Signed pre-commands and commands; results come later, to the user's URL.",
            "description": "The XML signature says who it is; no token is asked for.",
            "requestBody": {
              "required": true,
              "content": {
                "application/xml": {
                  "schema": {"type": "string", "description": "A signed DUIS request."}
                }
              }
            },
            "responses": {
              "200": {
                "description": "A signed DUIS response, also to a request that is refused.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "405": {"description": "Not a POST."},
              "408": {"description": "It did not arrive in time."},
              "413": {
                "description": "More than a body may have: a signed DUIS response says so.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "415": {"description": "No application/xml."},
              "503": {"description": "Too many at a time; Retry-After says when to come again."}
            }
          }
        },
        "/api/v1/serviceT": {
          "post": {
            "operationId": "serviceT",
            "tags": ["DUIS"],
            "summary": "Critical requests, which are transformed into pre-commands.",
            "description": "The XML signature says who it is; no token is asked for.",
            "requestBody": {
              "required": true,
              "content": {
                "application/xml": {
                  "schema": {"type": "string", "description": "A signed DUIS request."}
                }
              }
            },
            "responses": {
              "200": {
                "description": "A signed DUIS response, also to a request that is refused.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "405": {"description": "Not a POST."},
              "408": {"description": "It did not arrive in time."},
              "413": {
                "description": "More than a body may have: a signed DUIS response says so.",
                "content": {"application/xml": {"schema": {"type": "string"}}}
              },
              "415": {"description": "No application/xml."},
              "503": {"description": "Too many at a time; Retry-After says when to come again."}
            }
          }
        }
      },
      "components": {
        "parameters": {
          "period": {
            "name": "period",
            "in": "query",
            "description": "Received in this stretch of virtual time.",
            "schema": {"type": "string", "enum": ["hour", "day", "week", "month", "all"]}
          },
          "status": {
            "name": "status",
            "in": "query",
            "description": "Devices at this status.",
            "schema": {
              "type": "string",
              "enum": [
                "submitted", "refused", "validated", "atCSP", "delivering", "deliveredToHub",
                "deliveryFailed", "offered", "downloading", "transferred", "transferFailed",
                "verified", "rejected", "activationOrdered", "activationPending", "activated",
                "activationFailed", "reported", "commandSent", "answered", "unanswered"
              ]
            }
          },
          "type": {
            "name": "type",
            "in": "query",
            "description": "Devices of this type.",
            "schema": {
              "type": "string",
              "enum": ["ESME", "GSME", "GPF", "CHF", "HCALCS", "PPMID", "IHD", "CAD"]
            }
          },
          "hub": {
            "name": "hub",
            "in": "query",
            "description": "Devices of this hub.",
            "schema": {"type": "string"}
          },
          "manufacturer": {
            "name": "manufacturer",
            "in": "query",
            "description": "Devices of this manufacturer.",
            "schema": {"type": "string"}
          },
          "version": {
            "name": "version",
            "in": "query",
            "description": "That devices are to run, up to 8 hex digits.",
            "schema": {"type": "string"}
          },
          "request": {
            "name": "request",
            "in": "query",
            "description": "Of this request.",
            "schema": {"type": "string"}
          },
          "device": {
            "name": "device",
            "in": "query",
            "description": "This device.",
            "schema": {"type": "string"}
          },
          "after": {
            "name": "after",
            "in": "query",
            "description": "What next of the page before was.",
            "schema": {"type": "string"}
          },
          "limit": {
            "name": "limit",
            "in": "query",
            "description": "Items, 1 to 500; 50 unless said.",
            "schema": {"type": "integer"}
          }
        },
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {
          "Problem": {
            "type": "object",
            "required": ["error", "detail"],
            "properties": {
              "error": {"type": "string", "description": "The status in words."},
              "detail": {"type": "string", "description": "What is wrong, one sentence."}
            }
          },
          "Done": {
            "type": "object",
            "required": ["detail"],
            "properties": {
              "detail": {"type": "string", "description": "What was done, one sentence."}
            }
          },
          "Status": {
            "type": "object",
            "required": ["time", "pace", "release", "trouble", "homes"],
            "properties": {
              "time": {"type": "string", "format": "date-time", "description": "Virtual."},
              "pace": {"type": "string"},
              "release": {"type": "string"},
              "trouble": {"type": "array", "items": {"type": "string"}},
              "homes": {"type": "array", "items": {"$ref": "#/components/schemas/Home"}}
            }
          },
          "Home": {
            "type": "object",
            "required": ["name", "nodes"],
            "properties": {
              "name": {"type": "string"},
              "nodes": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}
            }
          },
          "Node": {
            "type": "object",
            "required": ["name", "role", "device", "isOn"],
            "properties": {
              "name": {"type": "string"},
              "role": {"type": "string"},
              "device": {"type": "string"},
              "firmware": {"type": "string"},
              "gbcsVersion": {"type": "string"},
              "isOn": {"type": "boolean"},
              "percent": {"type": "integer"}
            }
          },
          "Image": {
            "type": "object",
            "required": [
              "id", "deviceType", "manufacturer", "model", "version", "hash", "status"
            ],
            "properties": {
              "id": {"type": "string"},
              "deviceType": {"type": "string"},
              "manufacturer": {"type": "string"},
              "model": {"type": "string"},
              "version": {"type": "string"},
              "hash": {"type": "string"},
              "status": {"type": "string"}
            }
          },
          "Run": {
            "type": "object",
            "required": ["number", "state", "started", "steps"],
            "properties": {
              "number": {"type": "integer"},
              "state": {"type": "string", "enum": ["waiting", "running", "done", "failed"]},
              "started": {"type": "string", "format": "date-time"},
              "steps": {
                "type": "array",
                "items": {
                  "type": "object",
                  "required": ["title", "state"],
                  "properties": {
                    "title": {"type": "string"},
                    "state": {"type": "string", "enum": ["waiting", "running", "done", "failed"]},
                    "detail": {"type": "string"},
                    "request": {"type": "string"}
                  }
                }
              }
            }
          },
          "Request": {
            "type": "object",
            "required": [
              "id", "user", "variant", "code", "status", "received", "receivedWall", "changed",
              "counts"
            ],
            "properties": {
              "id": {"type": "string"},
              "user": {"type": "string"},
              "variant": {"type": "string"},
              "version": {"type": "string"},
              "manufacturer": {"type": "string"},
              "code": {"type": "string"},
              "status": {"type": "string"},
              "received": {"type": "string", "format": "date-time", "description": "Virtual."},
              "receivedWall": {"type": "string", "format": "date-time"},
              "changed": {"type": "string", "format": "date-time", "description": "Virtual."},
              "counts": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "description": "Devices by status."
              }
            }
          },
          "Target": {
            "type": "object",
            "required": [
              "request", "variant", "device", "status", "isReported", "detail", "time", "wall"
            ],
            "properties": {
              "request": {"type": "string"},
              "variant": {"type": "string"},
              "device": {"type": "string"},
              "hub": {"type": "string"},
              "type": {"type": "string"},
              "manufacturer": {"type": "string"},
              "model": {"type": "string"},
              "from": {"type": "string"},
              "to": {"type": "string"},
              "status": {
                "type": "string",
                "enum": [
                  "submitted", "refused", "validated", "atCSP", "delivering", "deliveredToHub",
                  "deliveryFailed", "offered", "downloading", "transferred", "transferFailed",
                  "verified", "rejected", "activationOrdered", "activationPending", "activated",
                  "activationFailed", "reported", "commandSent", "answered", "unanswered"
                ]
              },
              "isReported": {"type": "boolean"},
              "percent": {"type": "integer"},
              "detail": {"type": "string"},
              "time": {"type": "string", "format": "date-time", "description": "Virtual."},
              "wall": {"type": "string", "format": "date-time"}
            }
          },
          "Event": {
            "type": "object",
            "required": ["status", "detail", "time", "wall"],
            "properties": {
              "status": {
                "type": "string",
                "enum": [
                  "submitted", "refused", "validated", "atCSP", "delivering", "deliveredToHub",
                  "deliveryFailed", "offered", "downloading", "transferred", "transferFailed",
                  "verified", "rejected", "activationOrdered", "activationPending", "activated",
                  "activationFailed", "reported", "commandSent", "answered", "unanswered"
                ]
              },
              "percent": {"type": "integer"},
              "detail": {"type": "string"},
              "time": {"type": "string", "format": "date-time", "description": "Virtual."},
              "wall": {"type": "string", "format": "date-time"},
              "message": {"type": "string", "description": "A GBCS message, hex."},
              "notice": {"type": "integer"}
            }
          },
          "Notice": {
            "type": "object",
            "required": ["number", "user", "summary", "time", "wall", "state", "attempts"],
            "properties": {
              "number": {"type": "integer"},
              "user": {"type": "string"},
              "summary": {"type": "string"},
              "request": {"type": "string"},
              "device": {"type": "string"},
              "time": {"type": "string", "format": "date-time", "description": "Virtual."},
              "wall": {"type": "string", "format": "date-time"},
              "state": {"type": "string", "enum": ["pending", "received", "kept"]},
              "attempts": {"type": "integer"}
            }
          }
        }
      }
    }

    """#
