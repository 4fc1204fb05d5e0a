/// The operations of the control interface, and of the DUIS gateway beside it.
let openAPIPaths = #"""
    {
        "/api/control/v1/status": {
          "get": {
            "operationId": "status",
            "tags": ["World"],
            "summary": "The virtual time, its pace, the release in force, homes and troubles.",
            "responses": {
              "200": {
                "description": "The status.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Status"}}
                }
              }
            }
          }
        },
        "/api/control/v1/pace": {
          "put": {
            "operationId": "setPace",
            "tags": ["World"],
            "summary": "Sets how fast virtual time runs.",
            "requestBody": {
              "required": true,
              "content": {
                "application/json": {
                  "schema": {
                    "type": "object",
                    "required": ["pace"],
                    "properties": {
                      "pace": {
                        "type": "string",
                        "description": "real, virtual, or xN for N times real time."
                      }
                    }
                  }
                }
              }
            },
            "responses": {
              "200": {
                "description": "It runs so now.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Done"}}
                }
              },
              "400": {
                "description": "No pace.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              },
              "415": {
                "description": "No JSON.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/homes": {
          "get": {
            "operationId": "homes",
            "tags": ["Homes"],
            "summary": "All homes with their nodes.",
            "responses": {
              "200": {
                "description": "The homes.",
                "content": {
                  "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Home"}}
                  }
                }
              }
            }
          }
        },
        "/api/control/v1/homes/{home}": {
          "get": {
            "operationId": "home",
            "tags": ["Homes"],
            "summary": "A home with its nodes.",
            "parameters": [
              {
                "name": "home",
                "in": "path",
                "required": true,
                "description": "Its name.",
                "schema": {"type": "string"}
              }
            ],
            "responses": {
              "200": {
                "description": "The home.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Home"}}
                }
              },
              "404": {
                "description": "There is none.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/homes/{home}/nodes": {
          "get": {
            "operationId": "nodes",
            "tags": ["Homes"],
            "summary": "The nodes of a home.",
            "parameters": [
              {
                "name": "home",
                "in": "path",
                "required": true,
                "description": "Its name.",
                "schema": {"type": "string"}
              }
            ],
            "responses": {
              "200": {
                "description": "The nodes.",
                "content": {
                  "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}
                  }
                }
              },
              "404": {
                "description": "There is no such home.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/homes/{home}/nodes/{node}/power": {
          "put": {
            "operationId": "power",
            "tags": ["Homes"],
            "summary": "Switches a node on or off.",
            "parameters": [
              {
                "name": "home",
                "in": "path",
                "required": true,
                "description": "Its name.",
                "schema": {"type": "string"}
              },
              {
                "name": "node",
                "in": "path",
                "required": true,
                "description": "Its name in the home.",
                "schema": {"type": "string"}
              }
            ],
            "requestBody": {
              "required": true,
              "content": {
                "application/json": {
                  "schema": {
                    "type": "object",
                    "required": ["on"],
                    "properties": {
                      "on": {"type": "boolean", "description": "Whether it is to be on."}
                    }
                  }
                }
              }
            },
            "responses": {
              "200": {
                "description": "It is so now.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Done"}}
                }
              },
              "400": {
                "description": "Not such an order.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              },
              "404": {
                "description": "There is no such node.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              },
              "409": {
                "description": "It is so already.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              },
              "415": {
                "description": "No JSON.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/images": {
          "get": {
            "operationId": "images",
            "tags": ["Homes"],
            "summary": "The firmware images of the manifest.",
            "responses": {
              "200": {
                "description": "The images.",
                "content": {
                  "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Image"}}
                  }
                }
              }
            }
          }
        },
        "/api/control/v1/runs": {
          "get": {
            "operationId": "runs",
            "tags": ["Runs"],
            "summary": "Runs of the demo, newest first.",
            "responses": {
              "200": {
                "description": "The runs.",
                "content": {
                  "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}
                  }
                }
              }
            }
          },
          "post": {
            "operationId": "startRun",
            "tags": ["Runs"],
            "summary": "Starts the demo.",
            "description": "A PPMID is refused an update, its hub is updated, then the PPMID.",
            "responses": {
              "201": {
                "description": "It has begun.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Run"}}}
              },
              "409": {
                "description": "One is under way, or no home fits.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/runs/{number}": {
          "get": {
            "operationId": "run",
            "tags": ["Runs"],
            "summary": "A run of the demo.",
            "parameters": [
              {
                "name": "number",
                "in": "path",
                "required": true,
                "description": "Its number.",
                "schema": {"type": "string"}
              }
            ],
            "responses": {
              "200": {
                "description": "The run.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Run"}}}
              },
              "404": {
                "description": "There is none.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/requests": {
          "get": {
            "operationId": "requests",
            "tags": ["Tracking"],
            "summary": "Service requests, newest first.",
            "parameters": [
              {"$ref": "#/components/parameters/period"},
              {"$ref": "#/components/parameters/status"},
              {"$ref": "#/components/parameters/type"},
              {"$ref": "#/components/parameters/hub"},
              {"$ref": "#/components/parameters/manufacturer"},
              {"$ref": "#/components/parameters/version"},
              {"$ref": "#/components/parameters/request"},
              {"$ref": "#/components/parameters/device"},
              {"$ref": "#/components/parameters/after"},
              {"$ref": "#/components/parameters/limit"}
            ],
            "responses": {
              "200": {
                "description": "A page of them.",
                "content": {
                  "application/json": {
                    "schema": {
                      "type": "object",
                      "required": ["items"],
                      "properties": {
                        "items": {
                          "type": "array",
                          "items": {"$ref": "#/components/schemas/Request"}
                        },
                        "next": {
                          "type": "string",
                          "description": "For after, where there are more."
                        }
                      }
                    }
                  }
                }
              },
              "400": {
                "description": "Not such a filter.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/requests/{id}": {
          "get": {
            "operationId": "request",
            "tags": ["Tracking"],
            "summary": "A service request.",
            "parameters": [
              {
                "name": "id",
                "in": "path",
                "required": true,
                "description": "As DUIS writes it.",
                "schema": {"type": "string"}
              }
            ],
            "responses": {
              "200": {
                "description": "The request.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Request"}}
                }
              },
              "404": {
                "description": "There is none.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/requests/{id}/timeline": {
          "get": {
            "operationId": "timeline",
            "tags": ["Tracking"],
            "summary": "What happened to a request, and to one of its devices where one is named.",
            "parameters": [
              {
                "name": "id",
                "in": "path",
                "required": true,
                "description": "As DUIS writes it.",
                "schema": {"type": "string"}
              },
              {"$ref": "#/components/parameters/device"},
              {"$ref": "#/components/parameters/limit"}
            ],
            "responses": {
              "200": {
                "description": "What happened, in order.",
                "content": {
                  "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
                  }
                }
              },
              "400": {
                "description": "Not such a device.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              },
              "404": {
                "description": "There is no such request.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/targets": {
          "get": {
            "operationId": "targets",
            "tags": ["Tracking"],
            "summary": "Devices of requests, and how far each has come.",
            "parameters": [
              {"$ref": "#/components/parameters/period"},
              {"$ref": "#/components/parameters/status"},
              {"$ref": "#/components/parameters/type"},
              {"$ref": "#/components/parameters/hub"},
              {"$ref": "#/components/parameters/manufacturer"},
              {"$ref": "#/components/parameters/version"},
              {"$ref": "#/components/parameters/request"},
              {"$ref": "#/components/parameters/device"},
              {"$ref": "#/components/parameters/after"},
              {"$ref": "#/components/parameters/limit"}
            ],
            "responses": {
              "200": {
                "description": "A page of them.",
                "content": {
                  "application/json": {
                    "schema": {
                      "type": "object",
                      "required": ["items"],
                      "properties": {
                        "items": {
                          "type": "array",
                          "items": {"$ref": "#/components/schemas/Target"}
                        },
                        "next": {
                          "type": "string",
                          "description": "For after, where there are more."
                        }
                      }
                    }
                  }
                }
              },
              "400": {
                "description": "Not such a filter.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/notices": {
          "get": {
            "operationId": "notices",
            "tags": ["Tracking"],
            "summary": "What service users are told, newest first.",
            "parameters": [
              {"$ref": "#/components/parameters/after"},
              {"$ref": "#/components/parameters/limit"}
            ],
            "responses": {
              "200": {
                "description": "A page of them.",
                "content": {
                  "application/json": {
                    "schema": {
                      "type": "object",
                      "required": ["items"],
                      "properties": {
                        "items": {
                          "type": "array",
                          "items": {"$ref": "#/components/schemas/Notice"}
                        },
                        "next": {
                          "type": "string",
                          "description": "For after, where there are more."
                        }
                      }
                    }
                  }
                }
              },
              "400": {
                "description": "Not such a page.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        },
        "/api/control/v1/events": {
          "get": {
            "operationId": "events",
            "tags": ["Tracking"],
            "summary": "Everything as it happens, as server-sent events.",
            "responses": {
              "200": {
                "description": "Events tracking, notice, world and dropped, each with JSON.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}}
              },
              "503": {
                "description": "As many follow already as can be served.",
                "content": {
                  "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
              }
            }
          }
        }
    """#
