import DCC
import Wire

/// Tables as RFC 4180 has them: commas, lines that end with CR LF, quotes where needed.
///
/// A spreadsheet takes a field that begins with `=`, `+`, `-` or `@` for a formula, and some of
/// what is tracked comes from others; such a field gets a `'` before it.
public enum TrackingCSV {
    /// The first line of requests.
    public static let requestHead = line([
        "request", "user", "variant", "version", "type", "manufacturer", "model", "status",
        "processing", "code", "accepted", "refused", "done", "underWay", "failed",
        "reportedDevices", "devices", "received", "receivedWall", "updated", "updatedWall",
        "reported", "reportedWall", "image",
    ])

    public static func line(_ row: RequestRow) -> String {
        let outcomes = row.counts.outcomes
        return line([
            row.id.description, row.user.description, row.variant,
            row.fileVersion.map(version) ?? row.version ?? "", row.type?.rawValue ?? "",
            row.manufacturer ?? "", row.model ?? "", row.status.rawValue,
            row.processing.rawValue, row.code.rawValue, "\(row.accepted)", "\(row.refused)",
            "\(outcomes[.done] ?? 0)", "\(outcomes[.underWay] ?? 0)",
            "\(outcomes[.failed] ?? 0)", "\(row.reportedDevices)", words(row.counts),
            row.received.iso8601, iso8601(wall: row.receivedWall), row.updated.iso8601,
            iso8601(wall: row.updatedWall), row.reported?.iso8601 ?? "",
            row.reportedWall.map { iso8601(wall: $0) } ?? "", row.image ?? "",
        ])
    }

    /// The first line of devices.
    public static let targetHead = line([
        "request", "user", "variant", "device", "hub", "type", "manufacturer", "model",
        "fromVersion", "toVersion", "status", "outcome", "percent", "detail", "updated",
        "updatedWall", "reported", "reportedWall",
    ])

    public static func line(_ row: TargetRow) -> String {
        line([
            row.request.description, row.user.description, row.variant, row.device.description,
            row.hub?.description ?? "", row.type?.rawValue ?? "", row.manufacturer ?? "",
            row.model ?? "", row.fromVersion.map(version) ?? "",
            row.toVersion.map(version) ?? "", row.status.rawValue, row.status.outcome.rawValue,
            row.percent.map { "\($0)" } ?? "", row.detail, row.updated.iso8601,
            iso8601(wall: row.updatedWall), row.reported?.iso8601 ?? "",
            row.reportedWall.map { iso8601(wall: $0) } ?? "",
        ])
    }

    /// Any fields as a line, its end included.
    public static func line(_ fields: [String]) -> String {
        fields.map(field).joined(separator: ",") + "\r\n"
    }

    static func field(_ text: String) -> String {
        // By code points: a CR LF is one character.
        let isFormula = text.unicodeScalars.first.map { "=+-@\t\r".unicodeScalars.contains($0) }
        let text = isFormula == true ? "'" + text : text
        guard text.unicodeScalars.contains(where: { "\",\r\n".unicodeScalars.contains($0) }) else {
            return text
        }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    /// `0x01050200`
    static func version(_ version: UInt32) -> String {
        "0x" + Hex.string(UInt64(version), digits: 8)
    }

    /// `3 activated; 1 rejected`, the furthest first.
    static func words(_ counts: [TrackingStatus: Int]) -> String {
        counts.sorted { ($1.key.stage, $0.key.rawValue) < ($0.key.stage, $1.key.rawValue) }
            .map { "\($0.value) \($0.key.rawValue)" }.joined(separator: "; ")
    }
}
