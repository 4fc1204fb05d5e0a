import DCC
import Foundation
import GBCS
internal import GRDB
import Wire

/// Activations in stores that did not say yet for when they are: the message that was sent does.
///
/// Without that a device's word that it will do it later would count as that it will not, and
/// nobody would wait for its alert; and a cancellation that is taken would be waited for for ever.
enum OlderCommands {
    static func complete(_ database: Database) throws {
        let decoder = JSONDecoder()
        var commands: [CommandRecord] = []
        let rows = try Row.fetchCursor(
            database, sql: "SELECT name, json FROM state WHERE kind = 'command' ORDER BY name")
        while let row = try rows.next() {
            var cells = Cells(row, "command \(Cells.quoted(row, 0))")
            _ = try cells.text()
            let json = try cells.text()
            // What cannot be read is told when the world begins again.
            guard case .command(let command)? = try? DCCRecord(.command, json: json, decoder),
                command.variant == "11.3"
            else { continue }
            commands.append(command)
        }
        var pending: [Place: [(command: CommandRecord, isCancellation: Bool)]] = [:]
        for var command in commands {
            let order = try command.execution == nil ? order(of: command, database) : nil
            if let order, !order.isCancellation, let time = order.executionTime?.secondsSince2000 {
                command.execution = UTCTime(secondsSince2000: time)
                // assumption: its alert is waited for as long as is usual after that.
                if command.isPending {
                    let (end, isBeyond) = time.addingReportingOverflow(DCCSettings().commandTimeout)
                    command.deadline = UTCTime(secondsSince2000: isBeyond ? .max : end)
                }
                try save(command, database)
            }
            guard command.isPending else { continue }
            pending[Place(command), default: []].append((command, order?.isCancellation ?? false))
        }
        for commands in pending.values {
            // A device has one thing to do later: the last that it took, or nothing.
            let last = commands.max { $0.command.counter < $1.command.counter }
            for (command, isCancellation) in commands
            where isCancellation || command.counter != last?.command.counter {
                try remove(command, database)
            }
        }
    }

    /// Where one activation for later takes the place of another.
    private struct Place: Hashable {
        var device: EUI64
        var originator: EUI64

        init(_ command: CommandRecord) {
            (device, originator) = (command.device, command.originator)
        }
    }

    /// What the device was sent; nil if that is not there, or cannot be read.
    private static func order(
        of command: CommandRecord, _ database: Database
    ) throws -> ActivateFirmware? {
        let bytes = try Data.fetchOne(
            database,
            sql: """
                SELECT message FROM hop
                WHERE request = (SELECT number FROM request WHERE id = ?) AND device = ?
                AND status = ? AND message IS NOT NULL ORDER BY number DESC LIMIT 1
                """,
            arguments: [
                "\(command.id)", command.device.key, TrackingStatus.commandSent.rawValue,
            ])
        guard let bytes, let message = try? GBCSMessage(parsing: Array(bytes)),
            message.header.counter == command.counter,
            case .activateFirmware(let order)? = try? MessageContent(of: message)
        else { return nil }
        return order
    }

    private static func save(_ command: CommandRecord, _ database: Database) throws {
        let record = DCCRecord.command(command)
        try database.execute(
            sql: "UPDATE state SET json = ? WHERE kind = 'command' AND name = ?",
            arguments: [try record.json(DCCRecord.encoder), record.key.name])
    }

    private static func remove(_ command: CommandRecord, _ database: Database) throws {
        try database.execute(
            sql: "DELETE FROM state WHERE kind = 'command' AND name = ?",
            arguments: [DCCRecord.command(command).key.name])
    }
}
