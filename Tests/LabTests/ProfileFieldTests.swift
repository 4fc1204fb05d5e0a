import Air
import DCC
import Devices
import Foundation
import Lab
import Testing
import Zigbee

@Suite("The fields of profiles")
struct ProfileFieldTests {
    /// A row of a table in `docs/profiles.md`.
    struct Row: Hashable, CustomStringConvertible {
        var path: String
        var type: String
        var preset: String

        var description: String { "\(path): \(type), default \(preset)" }
    }

    /// The rows of the table under `heading`.
    static func documented(under heading: String) throws -> [Row] {
        let text = try String(
            contentsOfFile: ProfileSamples.root + "docs/profiles.md", encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == "## \(heading)" })
        let section = lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
        let header = "| field | value | default | meaning | source |"
        let table = try #require(section.firstIndex { $0 == header })
        return section[table...].dropFirst(2).prefix { $0.hasPrefix("|") }.map { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            return Row(
                path: cells[1].trimmingCharacters(in: ["`"]), type: cells[2], preset: cells[3])
        }
    }

    @Test(
        "docs/profiles.md lists exactly the fields that are read, with their types and defaults",
        arguments: [
            (ProfileKind.device, "Devices"), (.hub, "Hubs"), (.home, "Homes"),
            (.scenario, "Scenarios"), (.dcc, "DCC"),
        ])
    func documentation(kind: ProfileKind, heading: String) throws {
        let rows = try Self.documented(under: heading)
        let fields = ProfileLibrary.fields(of: kind).map {
            Row(path: $0.path, type: $0.type, preset: $0.preset)
        }
        #expect(!rows.isEmpty)
        #expect(Set(rows).subtracting(fields) == [], "documented, but not so in the loader")
        #expect(Set(fields).subtracting(rows) == [], "in the loader, but not documented so")
        #expect(rows.count == Set(rows.map(\.path)).count, "a field stands in the table twice")
    }

    /// The stored properties of a value, as fields in the map at `prefix`.
    static func properties(
        of value: Any, at prefix: String, renamed: [String: String] = [:],
        except: Set<String> = []
    ) -> [String] {
        Mirror(reflecting: value).children.compactMap(\.label).filter { !except.contains($0) }
            .map { label in
                let name = renamed[label] ?? label
                return prefix.isEmpty ? name : "\(prefix).\(name)"
            }
    }

    @Test("every property of a profile's types can be set in a file")
    func completeness() throws {
        let device = DeviceProfile(type: .esme, name: "")
        let hub = HubProfile(name: "")
        let air = AirSettings()
        let devices = ProfileLibrary.fields(of: .device).map(\.path)
        let hubs = ProfileLibrary.fields(of: .hub).map(\.path)
        let homes = ProfileLibrary.fields(of: .home).map(\.path)
        let dccs = ProfileLibrary.fields(of: .dcc).map(\.path)
        let groups: Set = [
            "name", "firmware", "ota", "stack", "network", "keyUpdate", "flash", "flashPart",
            "sleep", "time", "power", "messages", "keyEstablishment", "requiresEstablishedKeys",
            "tunnel", "mail",
        ]
        let known: [(fields: [String], properties: [String])] = [
            (
                devices,
                Self.properties(
                    of: device, at: "",
                    renamed: ["isRouter": "router", "isMainsPowered": "mainsPowered"],
                    except: groups)
            ),
            (devices, Self.properties(of: device.ota, at: "ota")),
            (devices, Self.properties(of: device.time, at: "time")),
            (devices, Self.properties(of: device.tunnel, at: "tunnel")),
            (hubs, Self.properties(of: hub.tunnel, at: "tunnel")),
            (hubs, Self.properties(of: hub.mail, at: "mail")),
            (devices, Self.properties(of: device.power, at: "power")),
            (
                devices,
                Self.properties(
                    of: device.keyEstablishment, at: "keyEstablishment", except: ["sessions"])
            ),
            (
                hubs,
                Self.properties(
                    of: hub.keyEstablishment, at: "keyEstablishment",
                    except: ["afterJoining", "retryInterval"])
            ),
            (devices, Self.properties(of: device.stack, at: "stack")),
            (devices, Self.properties(of: device.network, at: "stack")),
            (devices, Self.properties(of: SleepSettings(), at: "sleep")),
            (
                devices,
                Self.properties(
                    of: device.flash, at: "flash",
                    renamed: ["programPerByte": "program", "erasePage": "erase"])
            ),
            (
                devices,
                Self.properties(
                    of: DeviceCapabilities(), at: "firmware[]",
                    renamed: ["hasOTAClient": "otaClient"])
            ),
            (hubs, Self.properties(of: hub, at: "", except: groups)),
            (hubs, Self.properties(of: hub.network, at: "stack")),
            (
                hubs,
                Self.properties(
                    of: hub.keyUpdate, at: "keyUpdate", renamed: ["isBroadcast": "broadcast"])
            ),
            (hubs, Self.properties(of: hub.ota, at: "ota")),
            (
                hubs,
                Self.properties(
                    of: hub.flashPart, at: "flash",
                    renamed: ["programPerByte": "program", "erasePage": "erase"])
            ),
            (hubs, Self.properties(of: HubCapabilities(), at: "firmware[]")),
            (
                devices,
                Self.properties(
                    of: device.messages, at: "messages", except: ["activator", "joinTimeUnit"])
            ),
            (
                hubs, Self.properties(of: hub.messages, at: "messages", except: ["receiptForm"])
            ),
            (
                dccs,
                Self.properties(
                    of: DCCSettings(), at: "",
                    except: [
                        "users", "releases", "statuses", "gbcsRule", "regions", "defaultRegion",
                        "codes", "alertCodes", "notices",
                    ])
            ),
            (dccs, Self.properties(of: ReleaseCalendar(), at: "releases")),
            (dccs, Self.properties(of: NoticeRules(), at: "notices")),
            (dccs, Self.properties(of: CSPRegion(), at: "regions[]", except: ["outages"])),
            (dccs, Self.properties(of: CSPRegion(), at: "defaultRegion", except: ["outages"])),
            (
                dccs,
                Self.properties(
                    of: ServiceUser(id: .unknown, name: "", roles: []), at: "users[]",
                    renamed: ["isActive": "active"])
            ),
            (
                dccs,
                Self.properties(
                    of: GBCSVersionRule(), at: "gbcsRule",
                    renamed: ["isEnforced": "enforced"], except: ["minimum"])
            ),
            (
                dccs,
                Self.properties(
                    of: InventoryDevice(
                        id: .unknown, type: .ihd, status: .pending, manufacturer: "", model: ""),
                    at: "inventory[]", renamed: ["supplier": "supplierID"],
                    except: ["statusBefore", "alertCounter", "isRemoved"])
            ),
            (homes, Self.properties(of: air.phy, at: "phy")),
            (
                homes,
                Self.properties(
                    of: air, at: "",
                    renamed: [
                        "sensitivity": "phy.sensitivity", "capture": "phy.capture",
                        "wanLatency": "wan.latency", "wanPerByte": "wan.bytesPerSecond",
                        "wanChunk": "wan.messageSize", "benchLatency": "bench.latency",
                    ], except: ["phy"])
            ),
        ]
        for (fields, properties) in known {
            #expect(!properties.isEmpty)
            for property in properties {
                #expect(fields.contains(property), "no field sets \(property)")
            }
        }
    }

    @Test("no field is accepted and then ignored: a value of the wrong kind in each is an error")
    func nothingIgnored() throws {
        let bases: [ProfileKind: (file: String, text: String)] = [
            .device: ("devices/esme.yaml", try ProfileSamples.text("devices/esme.yaml")),
            .hub: ("hubs/homehub-2.yaml", try ProfileSamples.text("hubs/homehub-2.yaml")),
            .home: ("homes/far-meter.yaml", try ProfileSamples.text("homes/far-meter.yaml")),
            .scenario: ("scenarios/demo.yaml", try ProfileSamples.text("scenarios/demo.yaml")),
            .dcc: ("dcc/standard.yaml", try ProfileSamples.text("dcc/standard.yaml")),
        ]
        for kind in ProfileKind.allCases {
            let base = try #require(bases[kind])
            for field in ProfileLibrary.fields(of: kind) {
                let parts = field.path.split(separator: ".").map(String.init)
                let top = parts[0].replacingOccurrences(of: "[]", with: "")
                // The field's own top-level entry goes, and one comes with a value that no field
                // takes: a list of lists.
                let kept = Self.removing(top, from: base.text)
                let text = kept + Self.nested(parts[...], bad: "[[]]") + "\n"
                let verdict = ProfileSamples.verdict(on: text, as: base.file)
                let path = field.path.replacingOccurrences(of: "[]", with: "[0]")
                #expect(
                    verdict.contains(": \(path): ") || verdict.contains(": \(path)[0]: "),
                    "\(kind) \(field.path): \(verdict)")
            }
        }
    }

    /// The text without the top-level entry `key`.
    private static func removing(_ key: String, from text: String) -> String {
        var isGone = false
        var result = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let first = line.first, first != " ", first != "#" {
                isGone = line.hasPrefix(key + ":")
            }
            if !isGone { result += line + "\n" }
        }
        return result
    }

    /// `{a: {b: [{c: bad}]}}` for `a.b[].c`, with the fields that must stand before the bad one.
    private static func nested(_ parts: ArraySlice<String>, bad: String) -> String {
        guard let part = parts.first else { return bad }
        let isList = part.hasSuffix("[]")
        let name = isList ? String(part.dropLast(2)) : part
        var inner = nested(parts.dropFirst(), bad: bad)
        if parts.count > 1 {
            let before = Self.needed[parts.joined(separator: ".")] ?? ""
            inner = "{\(before)\(inner)}"
        }
        return "\(name): \(isList ? "[\(inner)]" : inner)"
    }

    /// What is read before a field and must be right for the field to be reached.
    private static let member =
        "profile: esme, eui64: 0247420000000F01, installCode: "
        + "\"94C0 101F 1FCB D17F 97FB 93F2 23AD 3F99 1AA3\", "
    private static let device = "id: 0247420000000F00, type: IHD, manufacturer: 1, "
    private static let whole = device + "model: a, "
    private static let needed = [
        "hub.eui64": "profile: homehub-2, firmware: 0x01050200, ",
        "hub.firmware": "profile: homehub-2, ",
        "changeSupplier.to": "devices: [ESME], ",
        "hub.chf": "profile: homehub-2, firmware: 0x01050200, eui64: 0247420000000F00, ",
        "hub.signer": "profile: homehub-2, firmware: 0x01050200, eui64: 0247420000000F00, ",
        "devices[].name": "profile: esme, ",
        "devices[].eui64": "profile: esme, installCode: "
            + "\"94C0 101F 1FCB D17F 97FB 93F2 23AD 3F99 1AA3\", firmware: 1, "
            + "supplier: supplier-test.pem, ",
        "devices[].installCode": "profile: esme, ",
        "devices[].firmware": member,
        "devices[].supplier": member + "firmware: 1, ",
        "links[].to": "from: CH, ",
        "links[].from": "to: CH, ",
        "links[].rssi": "between: [CH, ESME], ",
        "links[].loss": "between: [CH, ESME], ",
        "steps[].title": "join: all, ",
        "steps[].within": "join: all, ",
        "deliver.image": "to: all, ",
        "await.devices": "outcome: verified, ",
        "await.offset": "outcome: downloading, ",
        "await.reason": "outcome: rejected, ",
        "expect.devices": "outcome: updated, ",
        "expect.reason": "outcome: updated, ",
        "power.for": "device: CH, on: false, ",
        "readVersions.version": "devices: all, ",
        "power.on": "device: CH, ",
        "queryFile.imageType": "devices: all, ",
        "message.hex": "to: CH, ",
        "message.file": "to: CH, ",
        "link.rssi": "between: [CH, ESME], ",
        "link.loss": "between: [CH, ESME], ",
        "hub.status": "profile: homehub-2, firmware: 0x01050200, eui64: 0247420000000F00, ",
        "devices[].status": member + "firmware: 1, supplier: supplier-test.pem, ",
        "devices[].supplierID": member + "firmware: 1, supplier: supplier-test.pem, ",
        "users[].name": "id: 0247420000000F00, ",
        "users[].roles": "id: 0247420000000F00, name: a, ",
        "users[].responseURL": "id: 0247420000000F00, name: a, roles: [IS], ",
        "users[].active": "id: 0247420000000F00, name: a, roles: [IS], ",
        "statuses[].devices": "variant: \"11.1\", ",
        "regions[].delay": "name: a, ",
        "regions[].retryInterval": "name: a, ",
        "regions[].attempts": "name: a, ",
        "regions[].attemptTimeout": "name: a, ",
        "regions[].capacity": "name: a, ",
        "regions[].outages[].from": "name: a, ",
        "regions[].outages[].to": "name: a, ",
        "outages[].to": "from: 2030-01-01T00:00:00Z, ",
        "inventory[].type": "id: 0247420000000F00, ",
        "inventory[].status": "id: 0247420000000F00, type: IHD, ",
        "inventory[].manufacturer": "id: 0247420000000F00, type: IHD, ",
        "inventory[].model": device, "inventory[].firmware": whole,
        "inventory[].hardware": whole, "inventory[].gbcsVersion": whole,
        "inventory[].hub": whole, "inventory[].supplierID": whole, "inventory[].region": whole,
        "inventory[].specification": whole, "inventory[].esmeVariant": whole,
        "inventory[].importMPxN": whole, "inventory[].secondaryImportMPAN": whole,
        "inventory[].exportMPAN": whole, "inventory[].uprn": whole,
        "inventory[].postCode": whole, "inventory[].address": whole,
    ]
}
