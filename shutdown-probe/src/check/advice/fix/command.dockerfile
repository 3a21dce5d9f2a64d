CMD {command_list}
